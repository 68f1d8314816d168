"""What the key-value drivers share: rows, conditions and unique columns in a store of bytes."""

from .driver import KvDriver
from .memory import MemoryStore
from .places import folder
from .store import Overlay, Reader, Store, Writer

__all__ = ["KvDriver", "MemoryStore", "Overlay", "Reader", "Store", "Writer", "folder"]
