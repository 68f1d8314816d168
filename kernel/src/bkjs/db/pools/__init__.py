"""Pools: opened drivers, those of the kernel itself, and the cache of rows."""
