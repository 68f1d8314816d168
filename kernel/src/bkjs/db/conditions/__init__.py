"""Conditions: how they are built, matched against rows, sorted by and changed to."""
