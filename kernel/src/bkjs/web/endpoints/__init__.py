"""The endpoints that the Web service has by itself."""
