"""What applications of the reference may miss: nothing in the platform imports it."""
