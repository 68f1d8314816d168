"""Helpers by topic, for the platform and the applications on it; nothing here is async."""
