"""Databases: one table-oriented API over many engines."""
