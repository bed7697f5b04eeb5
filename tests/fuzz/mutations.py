"""Ways in which a file can be wrong: bytes, lengths and numbers altered, parts cut, doubled or moved."""

from __future__ import annotations

import random
import re
import struct

NUMBERS = [
    *(b"-1", b"0", b"1e999", b"-1e308", b"nan", b"inf", b"4294967295", b"99999999999999999999", b"1e-320", b"0x10", b"9" * 5000),
    *(b"null", b'""', b"[]", b"true"),
]
WORDS = [
    *(b"\x00", b"\xff\xfe", b"\x1b[2J", b"../../", b"/etc/passwd", b"\r\n", b"[" * 3000, b"{" * 3000, b"\xc3\x28", b"C:\\a"),
    *(b" " * 300, "\u00e9".encode()),
]
INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 20, 1 << 28)
FLOATS = (float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 1e-40, 0.0)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """One to four alterations."""
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        data = dice.choice(KINDS)(bytearray(data), dice) if data else dice.choice(WORDS)
    return bytes(data)


def place(data: bytearray, dice: random.Random) -> int:
    """A byte, those of the header more often."""
    return dice.randrange(min(len(data), 128) if dice.random() < 0.5 else len(data))


def flip(data: bytearray, dice: random.Random) -> bytearray:
    data[place(data, dice)] ^= 1 << dice.randrange(8)
    return data


def replace_byte(data: bytearray, dice: random.Random) -> bytearray:
    data[place(data, dice)] = dice.randrange(256)
    return data


def replace_number(data: bytearray, dice: random.Random) -> bytearray:
    code = dice.choice(("<H", "<I", ">I", "<Q", "<f", "<d"))
    value = dice.choice(FLOATS) if code in ("<f", "<d") else dice.choice(INTEGERS) & ((1 << 8 * struct.calcsize(code)) - 1)
    packed = struct.pack(code, value)
    start = place(data, dice)
    data[start : start + len(packed)] = packed
    return data


def cut(data: bytearray, dice: random.Random) -> bytearray:
    return data[: place(data, dice)]


def remove(data: bytearray, dice: random.Random) -> bytearray:
    start = place(data, dice)
    del data[start : start + dice.choice((1, 2, 4, 16, 100))]
    return data


def double(data: bytearray, dice: random.Random) -> bytearray:
    start = place(data, dice)
    part = data[start : start + dice.choice((1, 4, 16, 64))]
    data[start:start] = part * dice.choice((1, 2, 50))
    return data


def insert(data: bytearray, dice: random.Random) -> bytearray:
    start = place(data, dice)
    data[start:start] = dice.choice(WORDS)
    return data


def replace_text_number(data: bytearray, dice: random.Random) -> bytearray:
    found = [match.span() for match in re.finditer(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", bytes(data))]
    if found:
        start, end = dice.choice(found)
        data[start:end] = dice.choice(NUMBERS)
    return data


def replace_text_word(data: bytearray, dice: random.Random) -> bytearray:
    found = [match.span() for match in re.finditer(rb"[A-Za-z_]{2,}[\w./-]*", bytes(data))]
    if found:
        start, end = dice.choice(found)
        data[start:end] = dice.choice((b"", data[start:end][::-1], b"x", dice.choice(WORDS)))
    return data


KINDS = (flip, replace_byte, replace_number, cut, remove, double, insert, replace_text_number, replace_text_word)
