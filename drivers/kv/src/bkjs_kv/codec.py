"""Rows as bytes: MessagePack, which keeps ints from floats, bytes from text, and any nesting."""

from __future__ import annotations

from typing import Any, Final, NoReturn, cast

from msgspec.msgpack import Decoder, Encoder, Ext

from bkjs.db.contract import Row
from bkjs.errors import BadRequest

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of one stored row."""
_BIG: Final = 1
"""The extension that holds an int of more than 64 bits."""


def _unknown(value: Any) -> NoReturn:
    raise TypeError(f"a row cannot hold a value of type {type(value).__name__}")


def _extended(code: int, data: memoryview) -> Any:
    if code != _BIG:
        raise ValueError(f"a stored row has an unknown extension {code}")
    return int.from_bytes(data, "big", signed=True)


_encode: Final = Encoder(enc_hook=_unknown).encode
_decode: Final = Decoder(ext_hook=_extended).decode


def encode(row: Row) -> bytes:
    """A row as it is stored; raises BadRequest for one that is too large."""
    try:
        data = _encode(row)
    except OverflowError:
        data = _encode(_with_big(row))
    if len(data) > LONGEST:
        raise BadRequest(f"a row of more than {LONGEST} bytes")
    return data


def decode(data: bytes) -> Row:
    """The row that was stored."""
    return cast(Row, _decode(data))


def _with_big(value: Any) -> Any:
    match value:
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**64:
            return Ext(_BIG, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
        case dict():
            return {name: _with_big(item) for name, item in value.items()}
        case list() | tuple():
            return [_with_big(item) for item in value]
    return value
