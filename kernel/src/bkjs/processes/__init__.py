"""Processes of the platform: their sockets, files, life and restarts."""
