"""Bytes, connections and processes: what stands before a request is one."""
