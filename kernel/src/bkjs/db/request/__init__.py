"""One request: from the options of a verb to what the driver is asked."""
