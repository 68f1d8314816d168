"""What a client sends: bodies, forms, parameters, controls."""
