"""Tells which patterns may match a line, by the letters that each of their matches begins with.

Thousands of patterns are looked for in every line, and nearly none is there. An automaton for all of them has so many
states that it is still being built after a thousand documents. What their matches begin with is a list of some ten
thousand short strings instead: where one of them begins a word of the text, and only there, its patterns are tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Openings", "openings"]

Array = npt.NDArray[Any]

_MAX_BYTES = 8
_MAX_ALTERNATIVES = 2_000
_MAX_CLASS_CHARS = 64
_LINE_BREAK, _BLANK = b"\n "
_PLAIN = re.compile(r"[^\\\[\](){}|.*+?^$]+")
_LITERAL_RUN = re.compile(r"[^\\\[\](){}|.*+?^$]+(?![*+?{])")
_REPEAT = re.compile(r"(?:([*+?])|\{(\d+)(,?)(\d*)\})\??")
_GROUP = re.compile(r"\((?:\?:)?(?!\?)")


class _Way(NamedTuple):
    """One way in which a match can begin.

    Attributes:
        floats: anything may stand before the text.
        text: how it begins, in UTF-8.
        is_open: what follows in the pattern stands directly behind it.
    """

    floats: bool
    text: bytes
    is_open: bool


_Ways = frozenset[_Way]
_NOTHING: _Ways = frozenset({_Way(False, b"", True)})
_ANYTHING: _Ways = frozenset({_Way(True, b"", True)})


def openings(pattern: str) -> frozenset[tuple[bool, bytes]] | None:
    """Return strings of up to 8 bytes of UTF-8, one of which every match of a pattern begins with; None if unknown.

    With each comes whether it may be anywhere in the match, and not only at its beginning.

    Args:
        pattern: in the syntax of RE2.

    >>> sorted(openings("sign ?in|[^ ]*cookies?"))
    [(False, b'sign in'), (False, b'signin'), (True, b'cookie'), (True, b'cookies')]
    >>> openings(".*") is None
    True
    """
    # A single letter that anything may follow tells less than what comes after that, if anything does.
    for least in (2, 1):
        try:
            ways = _Reader(pattern, least).all()
        except _UnknownError:
            return None
        if all(len(way.text) >= least for way in ways):
            return frozenset((way.floats, way.text) for way in ways)
    return None


class _UnknownError(Exception):
    """The pattern says something that is not understood here."""


class _Reader:
    """Reads a pattern from left to right; where anything follows fewer than `least` bytes, what comes next counts."""

    def __init__(self, pattern: str, least: int) -> None:
        self._pattern = pattern
        self._least = least
        self._at = 0

    def all(self) -> _Ways:
        ways = self._alternatives()
        if self._at < len(self._pattern):
            raise _UnknownError
        return ways

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _alternatives(self) -> _Ways:
        ways = set(self._sequence())
        while self._peek() == "|":
            self._at += 1
            ways |= self._sequence()
        return frozenset(ways)

    def _sequence(self) -> _Ways:
        ways = _NOTHING
        while self._peek() not in ("", "|", ")"):
            if not any(way.is_open for way in ways):
                self._skip()
                break
            ways = self._joined(ways, self._repeated())
        return ways

    def _skip(self) -> None:
        """Go to the end of this alternative."""
        depth = 0
        while (char := self._peek()) and (depth or char not in "|)"):
            if char == "\\":
                self._at += 2
            elif char == "[":
                self._class()
            else:
                depth += (char == "(") - (char == ")")
                match = _PLAIN.match(self._pattern, self._at + 1)
                self._at = match.end() if match else self._at + 1

    def _repeated(self) -> _Ways:
        run = _LITERAL_RUN.match(self._pattern, self._at)
        if run:
            self._at = run.end()
            return _literal(run.group())
        ways = self._atom()
        match = _REPEAT.match(self._pattern, self._at)
        if match is None:
            return ways
        self._at = match.end()
        if _REPEAT.match(self._pattern, self._at):
            raise _UnknownError
        mark, least, _, most = match.groups()
        if mark == "?" or (least, most) == ("0", "1"):
            return ways | _NOTHING
        if mark == "*" or (least and int(least) == 0):
            return _ANYTHING
        return frozenset(self._closed(way) for way in ways)

    def _closed(self, way: _Way) -> _Way:
        """Return a way that anything may follow."""
        return _Way(way.floats, way.text, False) if len(way.text) >= self._least else _Way(True, b"", True)

    def _joined(self, ways: _Ways, following: _Ways) -> _Ways:
        """Return the ways in which two things in a row can begin."""
        if ways is _NOTHING:
            return following
        found: set[_Way] = set()
        for way in ways:
            if not way.is_open:
                found.add(way)
                continue
            for floats, text, is_open in following:
                if not way.text:
                    found.add(_cut(way.floats or floats, text, is_open))
                elif not floats:
                    found.add(_cut(way.floats, way.text + text, is_open))
                elif len(way.text) >= self._least:
                    found.add(_Way(way.floats, way.text, False))
                else:
                    found.add(_cut(True, text, is_open))
            if len(found) > _MAX_ALTERNATIVES:
                raise _UnknownError
        return frozenset(found)

    def _atom(self) -> _Ways:
        char = self._peek()
        if char == "(":
            match = _GROUP.match(self._pattern, self._at)
            if match is None:
                raise _UnknownError
            self._at = match.end()
            ways = self._alternatives()
            if self._peek() != ")":
                raise _UnknownError
            self._at += 1
            return ways
        if char == "[":
            return self._class()
        self._at += 1
        if char == "\\":
            escaped = self._peek()
            self._at += 1
            if escaped and escaped in "dDwWsS":
                return _ANYTHING
            if not escaped or escaped.isalnum():
                raise _UnknownError
            return _literal(escaped)
        if char in "^$":
            return _NOTHING
        if char == ".":
            return _ANYTHING
        if char in "*+?{":
            raise _UnknownError
        return _literal(char)

    def _class(self) -> _Ways:
        start = self._at + 1
        end = self._pattern.find("]", start + 1)
        inside = self._pattern[start:end]
        if end < 0 or "[" in inside or "\\" in inside:
            raise _UnknownError
        self._at = end + 1
        if inside.startswith("^"):
            return _ANYTHING
        chars = set(_members(inside))
        if len(chars) > _MAX_CLASS_CHARS:
            return _ANYTHING
        return frozenset(_Way(False, chr(code).encode(), True) for code in chars)


def _members(inside: str) -> Iterator[int]:
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            yield from range(ord(inside[at]), ord(inside[at + 2]) + 1)
            at += 3
        else:
            yield ord(inside[at])
            at += 1


def _literal(text: str) -> _Ways:
    return frozenset({_cut(False, text.encode(), True)})


def _cut(floats: bool, text: bytes, is_open: bool) -> _Way:
    return _Way(floats, text, is_open) if len(text) < _MAX_BYTES else _Way(floats, text[:_MAX_BYTES], False)


class Openings:
    r"""Patterns by what their matches begin with.

    Patterns that begin with a blank are looked for at words, those that begin with `^` and a blank at the first word of
    a line, all others anywhere.

    Attributes:
        unknown: patterns of which it is not known how their matches begin.

    >>> found = Openings({0: " cookies? ", 1: "^ share (this|it) ", 2: "クッキー", 3: ".*"})
    >>> [numbers.tolist() for numbers in found.candidates(b"\n we use cookies \n share it \n to share \n")]
    [[0, 1], [0, 1]]
    >>> found.unknown
    {3: '.*'}
    """

    def __init__(self, patterns: Mapping[int, str]) -> None:
        self.unknown: dict[int, str] = {}
        tables: tuple[dict[bytes, list[int]], ...] = ({}, {}, {})
        for number, pattern in patterns.items():
            place = 0 if pattern.startswith("^ ") else 1 if pattern.startswith(" ") else 2
            found = openings(pattern[2 - place :])
            if found is None:
                self.unknown[number] = pattern
                continue
            for floats, text in found:
                table = tables[2 if floats else place]
                table.setdefault(text, []).append(number)
        self._first_words, self._words, self._anywhere = map(_Table, tables)

    def candidates(self, text: bytes) -> tuple[Array, Array]:
        """Return pairs of a line and a pattern that may match it, in two arrays, in order of lines.

        Args:
            text: folded lines, with a line break before each and after the last.
        """
        codes = np.frombuffer(text + bytes(_MAX_BYTES), dtype=np.uint8)
        # The eight bytes from each place on, as one number.
        keys: Array = np.ndarray(len(text), dtype="<u8", buffer=codes, strides=(1,))
        breaks = np.flatnonzero(codes[: len(text)] == _LINE_BREAK)
        words = np.flatnonzero(codes[: len(text)] == _BLANK) + 1
        pairs = codes[: len(text)] | codes[1 : len(text) + 1].astype(np.uint16) << np.uint16(8)
        found = []
        for table, places in (
            (self._first_words, breaks[:-1] + 2),
            (self._words, words),
            (self._anywhere, np.flatnonzero(self._anywhere.pairs.take(pairs))),
        ):
            places = places[places < len(text)]
            places = places[table.pairs.take(pairs[places])]
            at, numbers = table.look_up(keys[places])
            found.append((np.searchsorted(breaks, places[at]) - 1) << 32 | numbers)
        both = np.unique(np.concatenate(found))
        return both >> 32, both & 0xFFFFFFFF


class _Table:
    """Strings with the patterns that each opens.

    Attributes:
        pairs: of each pair of bytes, the first of them below, whether a string begins with it.
    """

    def __init__(self, strings: Mapping[bytes, list[int]]) -> None:
        self.pairs = np.zeros(1 << 16, dtype=bool)
        self._by_length: list[tuple[int, Array, Array, Array, Array]] = []
        for text in strings:
            if len(text) > 1:
                self.pairs[text[0] | text[1] << 8] = True
            else:
                self.pairs[text[0] :: 256] = True
        starts = np.array([int.from_bytes(text[:3], "little") for text in strings if len(text) > 2], dtype=np.uint64)
        self._sieve = np.zeros(1 << 16, dtype=bool)
        self._sieve[_hashed(starts)] = True
        for length in range(1, _MAX_BYTES + 1):
            own = sorted((int.from_bytes(text, "little"), text) for text in strings if len(text) == length)
            if own:
                keys = np.array([key for key, _ in own], dtype=np.uint64)
                numbers = np.array([number for _, text in own for number in strings[text]], dtype=np.int64)
                edges = np.cumsum([0, *(len(strings[text]) for _, text in own)])
                sieve = np.zeros(1 << 16, dtype=bool)
                sieve[_mixed(keys)] = True
                self._by_length.append((length, sieve, keys, edges, numbers))

    def look_up(self, keys: Array) -> tuple[Array, Array]:
        """Return the place of each key that begins with a string, and a pattern that this opens; in pairs.

        Args:
            keys: eight bytes of text each, the first of them lowest.
        """
        # Nearly all keys fail at their first three bytes.
        likely = np.flatnonzero(self._sieve.take(_hashed(keys)))
        places: list[Array] = [np.zeros(0, dtype=np.int64)]
        numbers: list[Array] = [np.zeros(0, dtype=np.int64)]
        keys_of_likely = keys[likely]
        for length, sieve, known, edges, patterns in self._by_length:
            cut = (keys if length < 3 else keys_of_likely) & np.uint64((1 << 8 * length) - 1)
            # And nearly all that are left at as many bytes as the string has: a search costs more than a look.
            at = np.flatnonzero(sieve.take(_mixed(cut)))
            cut = cut[at]
            slot = np.minimum(np.searchsorted(known, cut), len(known) - 1)
            is_known = known[slot] == cut
            at, slot = at[is_known], slot[is_known]
            count = edges[slot + 1] - edges[slot]
            places.append(np.repeat(at if length < 3 else likely[at], count))
            first = np.repeat(edges[slot] - (np.cumsum(count) - count), count)
            numbers.append(patterns[first + np.arange(len(first))])
        return np.concatenate(places), np.concatenate(numbers)


def _hashed(keys: Array) -> Array:
    """Return a number below 2 ** 16 for the first three bytes of each key."""
    return _mixed(keys << np.uint64(40))


def _mixed(keys: Array) -> Array:
    """Return a number below 2 ** 16 for each key."""
    return np.asarray(keys * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(48))
