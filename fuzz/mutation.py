"""Breaks good inputs at random; the same seed breaks them in the same way, on any machine."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

__all__ = ["broken"]

# What parsers trip over: borders of numbers, marks of formats, halves of things, names that mean more elsewhere.
# fmt: off
_PIECES = [
    *(b"\0", b"\r", b"\n", b"\r\n\r\n", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x8f\xbf\xbf"),
    *(
        "\u2028",
        "\x85",
        "\u202e",
        "\u200d",
        "\u0301" * 40,
        "\ufdfa",
        "ß",
        "İ",
        "ﬁ",
        "𝔘",
        "한국",
        "日本語。",
        "ก็",
        "😀\ufe0f",
    ),
    *(
        b"-1",
        b"0",
        b"1e999",
        b"99999999999999999999",
        b"18446744073709551616",
        b"NaN",
        b"-0.0",
        b"0x10",
        b"true",
        b"null",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"'",
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\\x{110000}",
        b"(?:",
        b"((((",
        b"*",
        b"{1000}",
        b"|",
    ),
    *(b"[[", b"]]", b"[[rule]]\n", b" = ", b'""" ', b"[policy]\n", b"{}", b"[]", b'{"a":1}', b"[[[[1]]]]"),
    *(b"<", b">", b"</", b"<!--", b"<![CDATA[", b"<!DOCTYPE a [<!ENTITY b '&b;&b;'>]>", b"&b;", b"&#0;", b"&#xd800;"),
    *(
        b"<div>" * 300,
        b"<script>",
        b"<svg>",
        b"<table><tr><td>",
        b"<p>" * 300,
        b"<meta charset=utf-7>",
        b"<base href=//x>",
    ),
    *(
        b"WARC/1.0\r\n",
        b"Content-Length: ",
        b"Content-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    ),
    *(
        b"\x1f\x8b\x08\0",
        b"\x28\xb5\x2f\xfd",
        b"PAR1",
        b"PK\x03\x04",
        b"\x93NUMPY\x01\x00",
        b"../../etc/passwd",
        b"a" * 3000,
    ),
]
_DICTIONARY = [piece.encode() if isinstance(piece, str) else piece for piece in _PIECES]
_MOST = 60_000

# For TOML and JSON: something of another type, so that what comes of it is still TOML or JSON.
_VALUE = re.compile(rb"""\[[^\[\]]*\]|\{[^{}]*\}|"[^"\n]*"|'[^'\n]*'|-?\d+(?:\.\d+)?|true|false|null|(?<== )\S+""")
_VALUES = [
    *(b'""', b'"a"', b"0", b"-1", b"1.5", b"true", b"false", b"[]", b"{}", b'["a"]', b"[1]", b"[[]]", b'{"a" = 1}'),
    *(
        b'{"a": 1}',
        b"1e400",
        b"99999999999999999999999",
        b'"\\u0000"',
        b'"(("',
        b'"{buy}"',
        b'"a*"',
        b"1979-05-27",
        b'[""]',
    ),
    *(
        b"inf",
        b"nan",
        b"null",
        b'"' + b"(" * 2000 + b'"',
        b"[" * 5000 + b"]" * 5000,
        b'"((a{1,99}){1,99}){1,99}"',
        b'"\\n"',
    ),
]


def broken(source: random.Random, goods: Sequence[bytes]) -> bytes:
    """Return one of the inputs with a few things changed.

    Args:
        source: of chance.
        goods: inputs to begin with.
    """
    data = bytearray(source.choice(goods))
    for _ in range(source.choice((1, 1, 2, 3, 5, 12))):
        at = source.randint(0, len(data))
        length = source.choice((1, 1, 2, 4, 8, 16, 64, 256))
        kind = source.randrange(12)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << source.randrange(8)
        elif kind == 1:
            data[at:at] = source.randbytes(length)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = source.choice(_DICTIONARY)
        elif kind == 4:  # another value where one stands
            data[at : at + length] = source.choice(_DICTIONARY)
        elif kind == 5:
            data[at:at] = data[at : at + length] * source.choice((1, 2, 50))
        elif kind == 6:
            del data[at:]
        elif kind == 7:
            other = source.choice(goods)
            start = source.randint(0, len(other))
            data[at:at] = other[start : start + 10 * length]
        elif values := list(_VALUE.finditer(data)):
            low, high = source.choice(values).span()
            data[low:high] = source.choice(_VALUES)
    return bytes(data[:_MOST])
