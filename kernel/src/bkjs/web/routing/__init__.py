"""Which endpoint answers a path, and what is worked out once for it."""
