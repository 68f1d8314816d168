"""For engines that know little but the order of keys: keys as bytes, names without marks that an
engine reserves, and which part of a query is a range of keys."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from .contract import Condition, Group, Kind, Order, Table

_NULL, _TEXT, _BYTES = 0x01, 0x20, 0x30
_LEAST, _NEGATIVE, _ZERO, _POSITIVE, _MOST = range(0x10, 0x15)
_AFTER_NULL: Final = bytes([_NULL + 1])
_BIAS: Final = 0x0800
"""Makes the exponents of floats positive; those from `_LONG` on take four bytes more."""
_LONG: Final = 0xFFFF
_INVERTED: Final = bytes(range(255, -1, -1))


def pack(values: Iterable[Any]) -> bytes:
    """Values as one key: bytes compare as the values do by `Order`, column after column.

    Null comes before all, then numbers by what they are worth (false and true as 0 and 1), text by
    code point, bytes. Equal values give equal bytes, different ones different bytes, and what the
    first values give begins no key with other first values. Raises TypeError for what has no such
    order and ValueError for NaN.
    """
    return b"".join(map(_packed, values))


def _packed(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x20%b\x00\x01" % _escaped(value.encode(errors="surrogatepass"))
    if isinstance(value, (int, float)):
        return _packed_number(value)
    if value is None:
        return b"\x01"
    if isinstance(value, bytes):
        return b"\x30%b\x00\x01" % _escaped(value)
    raise TypeError(f"a key cannot hold a value of type {type(value).__name__}")


def _escaped(data: bytes) -> bytes:
    """Without 0 1, which ends it: 0 becomes 0 255. So text takes its own length and three bytes."""
    return data.replace(b"\x00", b"\x00\xff") if b"\x00" in data else data


def _unescaped(data: bytes) -> bytes:
    return data.replace(b"\x00\xff", b"\x00")


def _packed_number(value: float) -> bytes:
    """Sign, exponent, and what the number is between 1/2 and 1: seven bits to a byte, whose last
    bit says whether more follow. A negative one has all bits turned."""
    if value == 0:
        return bytes([_ZERO])
    if isinstance(value, float):
        if not math.isfinite(value):
            if math.isnan(value):
                raise ValueError("a key cannot hold NaN")
            return bytes([_MOST if value > 0 else _LEAST])
        top, bottom = value.as_integer_ratio()
        below = bottom.bit_length() - 1
    else:
        top, below = int(value), 0
    negative, top = top < 0, abs(top)
    exponent = top.bit_length() - below + _BIAS
    top >>= (top & -top).bit_length() - 1
    groups = -(-top.bit_length() // 7)
    top <<= groups * 7 - top.bit_length()
    data = bytearray(exponent.to_bytes(2, "big") if exponent < _LONG else b"\xff\xff")
    if exponent >= _LONG:
        data += exponent.to_bytes(4, "big")
    data += bytes([(top >> place & 127) << 1 | 1 for place in range(groups * 7 - 7, -1, -7)])
    data[-1] -= 1
    if negative:
        return bytes([_NEGATIVE]) + data.translate(_INVERTED)
    return bytes([_POSITIVE]) + data


def unpack(data: bytes, kinds: Sequence[Kind] | None = None) -> tuple[Any, ...]:
    """The values of a key; raises ValueError for other bytes.

    Numbers come back as ints where they are whole, unless the kinds of the columns say `real` or
    `bool`.
    """
    values: list[Any] = []
    place = 0
    try:
        while place < len(data):
            value, place = _read(data, place)
            kind = kinds[len(values)] if kinds and value is not None else None
            if kind == "real":
                value = float(value)
            elif kind == "bool":
                value = bool(value)
            values.append(value)
    except IndexError:
        raise ValueError("not a packed key") from None
    return tuple(values)


def _read(data: bytes, place: int) -> tuple[Any, int]:
    tag, place = data[place], place + 1
    if tag in (_TEXT, _BYTES):
        end = data.index(b"\x00\x01", place)
        found = _unescaped(data[place:end])
        return found.decode(errors="surrogatepass") if tag == _TEXT else found, end + 2
    if tag in (_NEGATIVE, _POSITIVE):
        return _read_number(data, place, 255 if tag == _NEGATIVE else 0)
    plain = {_NULL: None, _ZERO: 0, _LEAST: -math.inf, _MOST: math.inf}
    if tag not in plain:
        raise ValueError("not a packed key")
    return plain[tag], place


def _read_number(data: bytes, place: int, turn: int) -> tuple[float, int]:
    exponent, place = (data[place] ^ turn) << 8 | data[place + 1] ^ turn, place + 2
    if exponent == _LONG:
        exponent = int.from_bytes(bytes(b ^ turn for b in data[place : place + 4]), "big")
        place += 4
    top, more, bits = 0, 1, 0
    while more:
        byte = data[place] ^ turn
        top, more, bits, place = top << 7 | byte >> 1, byte & 1, bits + 7, place + 1
    shift = exponent - _BIAS - bits
    zeros = (top & -top).bit_length() - 1
    if turn:
        top = -top
    if shift + zeros < 0:
        return math.ldexp(top >> zeros, shift + zeros), place
    return top << shift if shift >= 0 else top >> -shift, place


def prefix_end(prefix: bytes) -> bytes | None:
    """The first bytes after all that begin with these; None where nothing can come after them."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


_PRINTED: Final = [
    f"!{byte:02X}" if byte < 0x22 else chr(byte) if byte < 0x7E else f"~{byte:02X}"
    for byte in range(256)
]


def printed(data: bytes) -> str:
    """A key for engines whose keys are text: printable ASCII without blanks that compares as the
    bytes do, where an engine compares by code."""
    return "".join([_PRINTED[byte] for byte in data])


def unprinted(text: str) -> bytes:
    """The bytes of a printed key."""
    data, place = bytearray(), 0
    while place < len(text):
        if text[place] in "!~":
            data.append(int(text[place + 1 : place + 3], 16))
            place += 3
        else:
            data.append(ord(text[place]))
            place += 1
    return bytes(data)


def escape(name: str, chars: str, mark: str = "%") -> str:
    """A name without these characters, below U+0100 and no hexadecimal digits: each, and the mark,
    becomes the mark and two digits. Different names stay different."""
    table = {ord(char): f"{mark}{ord(char):02x}" for char in chars + mark}
    if max(table) > 0xFF or set(chars + mark) & set("0123456789abcdef"):
        raise ValueError(f"cannot escape all of {chars + mark!r}")
    return name.translate(table)


def unescape(name: str, mark: str = "%") -> str:
    """The name that was escaped."""
    first, *parts = name.split(mark)
    return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in parts)


class KeyRange(NamedTuple):
    """The conditions that say where in the order of some columns the rows are, and the others."""

    columns: tuple[str, ...]
    """Of the key or the index."""
    equal: tuple[Any, ...] = ()
    """What the first of them are equal to."""
    range: tuple[Condition, ...] = ()
    """On the column after those: `in`, `between` or `begins_with`, or one of `gt` and `ge`, one of
    `lt` and `le`, or one of each."""
    rest: Group = Group()
    """Conditions that are left to check."""

    def spans(self, prefix: bytes = b"") -> list[tuple[bytes, bytes | None]]:
        """The range as `[start, end)` of packed keys that begin with a prefix, in their order;
        several for `in`, None as an end where nothing comes after."""
        prefix += pack(self.equal)
        if not self.range:
            return [(prefix, prefix_end(prefix))]
        if self.range[0].op == "in":
            points = sorted({prefix + _packed(value) for value in self.range[0].value})
            return [(point, prefix_end(point)) for point in points]
        start, end = prefix + _AFTER_NULL, prefix_end(prefix)
        for _, op, value in self.range:
            if op == "begins_with":
                start = (prefix + _packed(value))[:-2]
                end = prefix_end(start)
                continue
            low, high = value if op == "between" else (value, value)
            if op in ("ge", "gt", "between"):
                start = prefix + _packed(low)
                start = (prefix_end(start) or start) if op == "gt" else start
            if op in ("le", "lt", "between"):
                end = prefix + _packed(high)
                end = end if op == "lt" else prefix_end(end)
        return [(start, end)] if end is None or start < end else []

    def descending(self, sort: Sequence[Order], *, whole: bool = True) -> bool | None:
        """Whether rows come in an order when they are read backwards, False for forwards; None
        where neither way gives it. `whole` is False for an index, of whose columns rows may have
        the same values."""
        fixed = self.columns[: len(self.equal)]
        asked = [order for order in sort if order.column not in fixed]
        rest = self.columns[len(self.equal) :]
        if len(asked) > len(rest) and not whole:
            return None
        for order, column in zip(asked, rest, strict=False):
            if order.column != column or order.desc != asked[0].desc:
                return None
        return bool(asked and rest and asked[0].desc)


_LOWER, _UPPER = ("gt", "ge"), ("lt", "le")
_WHOLE = ("in", "between", "begins_with")
_UNORDERED = ("json", "list", "search")


def by_key(table: Table, where: Group, index: str | None = None) -> KeyRange:
    """The conditions as a range of the key, or of the columns of an index or of unique columns.

    What it takes does not depend on values, so that a driver may ask it for a `plan`. Of several
    conditions that do the same the first is taken, the others stay in the rest.
    """
    names = table.keys
    if index is not None:
        names = table.indexes[index] if index in table.indexes else table.uniques[index]
    if where.join == "OR":
        return KeyRange(names, rest=where)
    usable: dict[str, list[Condition]] = {name: [] for name in names}
    for item in where.items:
        if isinstance(item, Condition) and item.column in usable:
            usable[item.column].append(item)
    equal: list[Condition] = []
    bounds: list[Condition] = []
    for name in names:
        kind = table.columns[name].kind
        if kind in _UNORDERED:
            break
        first = _first(usable[name], ("eq",))
        if first:
            equal += first
            continue
        whole = _WHOLE if kind == "text" else _WHOLE[:2]
        bounds = _first(usable[name], whole)
        bounds = bounds or _first(usable[name], _LOWER) + _first(usable[name], _UPPER)
        break
    taken = {id(item) for item in equal + bounds}
    rest = tuple(item for item in where.items if id(item) not in taken)
    return KeyRange(names, tuple(item.value for item in equal), tuple(bounds), Group("AND", rest))


def _first(items: Iterable[Condition], ops: Collection[str]) -> list[Condition]:
    return [item for item in items if item.op in ops][:1]
