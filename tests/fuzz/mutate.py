"""Inputs that are almost valid: bits flipped, parts cut, repeated and moved, numbers at their limits."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_WORD = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\"[^\"\n]*\"|true|false|null|[A-Za-z_]{2,}")
_VALUES = (
    b"0", b"-1", b"1", b"2", b"255", b"65536", b"2147483648", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"1e308", b"1e999", b"-1e999", b"NaN", b"nan", b"inf", b"Infinity", b"0.5", b"1" * 40,
    b"7" * 5000, b"true", b"false", b"null", b"None", b'""', b"''", b'"x"', b"[]", b"{}", b"[[]]", b'{"a":1}',
    b"[1,[2]]", b'"\\ud800"', b"\xc2\xb2", b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\r\n", b"\n", b",", b'"', b":", b"=",
    b"[", b"{", b"../../etc/passwd", b"%s%n", b"__class__",
)  # fmt: skip
_TEXT = re.compile(rb"\"([^\"\\\n]*)\"")
_NUMBER = re.compile(rb"(?<=[:,\[= ])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?=[,\]} ])")
_TEXTS = (
    b"", b"x", b" ", b"<script>alert(1)</script>", b"'><b onload=x>", b"&lt;", b"\\u0000", b"\\u001b[2J", b"\\u202e",
    b"\\ufffe", b"\\n", b"\\\"", b"$x^2$", b"\\\\alpha$", b"{{ x }}", b"%s", b"y" * 400, "é²\u2028\xa0".encode(),
)  # fmt: skip
_NUMBERS = (
    b"0", b"-1", b"1", b"2", b"7", b"0.5", b"-0.5", b"1.0", b"5e-324", b"1e-300", b"1e12", b"1e300", b"-1e308", b"999",
    b"100000", b"4294967296", b"9223372036854775807",
)  # fmt: skip
_ENDS = (0, 1, 2, 3, 127, 128, 255, 256, 32767, 32768, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
         (1 << 40) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip


def mutate(
    data: bytes,
    rng: random.Random,
    *,
    others: Sequence[bytes] = (),
    tokens: Sequence[bytes] = (),
    longest: int = 1 << 14,
) -> bytes:
    """Change an input in one to six places. ``rng`` decides everything."""
    words = (*_VALUES, *tokens)
    changes = (_inside,) if rng.random() < 0.4 and _TEXT.search(data) else _CHANGES
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4, 6))):
        change = rng.choice(changes)
        data = _splice(data, rng, others) if change is _splice else change(data, rng, words)
    return data[:longest]


def _place(data: bytes, rng: random.Random) -> tuple[int, int]:
    """A part of the input: short ones as likely as long ones."""
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 1, 2, 4, 8, 16, 80, 1 + len(data) // 4)))


def _flip(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _byte(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + rng.randrange(2) :]


def _number(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """Overwrite 1, 2, 4 or 8 bytes with a number at some limit, in either order of bytes."""
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice((*_ENDS, len(data), rng.randrange(1 << 16))) % (1 << 8 * size)
    at = rng.randrange(len(data) + 1)
    return data[:at] + value.to_bytes(size, rng.choice(("big", "little"))) + data[at + size :]


def _cut(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    start, end = _place(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    start, end = _place(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 7, 300)) + data[end:]


def _move(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    start, end = _place(data, rng)
    rest = data[:start] + data[end:]
    at = rng.randrange(len(rest) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _insert(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(words) + data[at:]


def _nest(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice((b"[", b"{", b'{"a":', b"(", b"a.", b"'''")) * rng.choice((3, 100, 3000)) + data[at:]


def _replace(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """Replace a number, a text or a name of a text by something else."""
    found = [each.span() for each in _WORD.finditer(data)]
    if not found:
        return _insert(data, rng, words)
    start, end = rng.choice(found)
    if rng.random() < 0.3:  # by another one of the same input
        begin, stop = rng.choice(found)
        return data[:start] + data[begin:stop] + data[end:]
    return data[:start] + rng.choice(words) + data[end:]


def _inside(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """Replace a number by a number, or what is between quotes by another text, so that all around stays valid."""
    pattern, values = rng.choice(((_NUMBER, _NUMBERS), (_TEXT, _TEXTS)))
    found = [each.span(pattern.groups) for each in pattern.finditer(data)]
    if not found:
        return _insert(data, rng, words)
    start, end = rng.choice(found)
    return data[:start] + rng.choice(values) + data[end:]


def _splice(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """The start of this input and the end of another one; ``words`` are the inputs."""
    if not words:
        return data
    other = rng.choice(words)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


_CHANGES: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    _flip, _flip, _byte, _number, _number, _cut, _drop, _repeat, _move, _insert, _nest, _replace, _replace, _replace,
    _inside, _inside, _inside, _splice,
)  # fmt: skip
