"""What leaves: replies, their formats and columns, files."""
