"""What the drivers of databases over HTTP share: a pool of requests, nodes, retries and errors."""

from .driver import HttpDriver
from .nodes import Nodes
from .paths import segment
from .pool import Answer, HttpPool, Limits

__all__ = ["Answer", "HttpDriver", "HttpPool", "Limits", "Nodes", "segment"]
