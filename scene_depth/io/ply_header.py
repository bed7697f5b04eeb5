"""The header of a .ply file, and the rows of its binary elements without loading the file.

Format: Greg Turk's PLY 1.0. Splats, packed splats and point clouds are built on this.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.claims import check_splats
from scene_depth.io.input_files import check_input_file

HEADER_LIMIT = 1 << 20  # bytes; a header of splats has three thousand
ENCODINGS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
TYPE_NAMES = {code: name for name, code in reversed(TYPES.items())}


@dataclass(frozen=True)
class PlyElement:
    """A table of the file: its name, its number of rows, its columns.

    Attributes:
        properties: Name and NumPy type code (without byte order) of each column; "list" where a row may have any length.
    """

    name: str
    count: int
    properties: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.properties)

    def dtype(self, byte_order: str) -> np.dtype:
        """Type of one row, "<" or ">" or "="."""
        return np.dtype([(name, byte_order + code) for name, code in self.properties])


@dataclass(frozen=True)
class PlyHeader:
    """What a .ply file says about itself.

    Attributes:
        encoding: "ascii", "binary_little_endian" or "binary_big_endian".
        elements: Tables in the order of the file.
        comments: Comment lines without the word "comment".
        size: Bytes of the header; the first table begins there.
    """

    path: Path
    encoding: str
    elements: tuple[PlyElement, ...]
    comments: tuple[str, ...]
    size: int

    def element(self, name: str) -> PlyElement:
        for element in self.elements:
            if element.name == name:
                return element
        found = ", ".join(element.name for element in self.elements) or "none"
        raise InputError("elements", found, f"an element {name!r}", file=self.path)

    def has(self, name: str) -> bool:
        return any(element.name == name for element in self.elements)


def read_ply_header(path: str | os.PathLike[str]) -> PlyHeader:
    """Reads the header of a .ply file.

    Raises:
        InputError: If the file cannot be read, is not a .ply file, or if its header is cut short or malformed.
    """
    path = check_input_file(path, "a .ply file")
    with path.open("rb") as file:
        start = file.read(HEADER_LIMIT)
    lines, size = _header_lines(path, start)
    encoding, comments = "", []
    elements: list[tuple[str, int, list[tuple[str, str]]]] = []
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if not words or words[0] == "obj_info":
            continue
        if words[0] == "comment":
            comments.append(line.strip()[len("comment") :].strip())
        elif words[0] == "format" and len(words) == 3 and words[1] in ENCODINGS:
            encoding = words[1]
        elif words[0] == "element" and len(words) == 3 and words[2].isdecimal() and len(words[2]) < 19:
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and elements and (column := _column(words)):
            elements[-1][2].append(column)
        else:
            accepted = "format, comment, element NAME COUNT or property TYPE NAME of PLY 1.0"
            raise InputError(f"header line {number}", repr(line[:100]), accepted, file=path)
    if not encoding:
        raise InputError("format", "no such line in the header", f"one of {', '.join(ENCODINGS)}", file=path)
    header = PlyHeader(path, encoding, tuple(PlyElement(n, c, tuple(p)) for n, c, p in elements), tuple(comments), size)
    _check_names(header)
    return header


def read_rows(header: PlyHeader, name: str) -> NDArray[np.void]:
    """The rows of an element in any encoding; see ``map_rows``. In ASCII files it must be the first element."""
    return _ascii_rows(header, name) if header.encoding == "ascii" else map_rows(header, name)


def map_rows(header: PlyHeader, name: str) -> NDArray[np.void]:
    """The rows of a binary element, read from disk as they are used.

    Args:
        header: Header of the file.
        name: Element; the ones before it must have columns of fixed size.

    Returns:
        Structured array; its fields are the properties  # [count]

    Raises:
        InputError: If the file is shorter than its header says, or if the element cannot be located.
    """
    order = ENCODINGS[header.encoding]
    offset = header.size
    wanted = header.element(name)
    for element in header.elements:
        if any(code == "list" for _, code in element.properties):
            accepted = f"columns of fixed size up to {name}"
            raise InputError(f"element {element.name}", "a list property", accepted, file=header.path)
        if element is wanted:
            break
        offset += element.count * element.dtype(order).itemsize
    dtype = wanted.dtype(order)
    expected, found = offset + wanted.count * dtype.itemsize, header.path.stat().st_size
    if found < expected:
        whole = max(0, found - offset) // dtype.itemsize if dtype.itemsize else 0
        accepted = f"{expected} bytes, {wanted.count} rows; the file is cut short"
        raise InputError("size", f"{found} bytes, {whole} whole rows of {name}", accepted, file=header.path)
    if wanted.count == 0:
        return np.empty(0, dtype)
    return np.memmap(header.path, dtype, mode="r", offset=offset, shape=(wanted.count,))


def _ascii_rows(header: PlyHeader, name: str) -> NDArray[np.void]:
    if header.elements[0].name != name:
        raise InputError("elements", header.elements[0].name, f"{name} as the first element of an ASCII file", file=header.path)
    vertex = header.elements[0]
    if any(code == "list" for _, code in vertex.properties):
        raise InputError(f"element {name}", "a list property", "numbers of fixed count", file=header.path)
    check_splats(header.path, vertex.count, 2 * len(vertex.properties), ratio=1)
    with header.path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a file that has no row at all, which is said below
        file.seek(header.size)
        try:
            rows = np.loadtxt(file, dtype=vertex.dtype("="), max_rows=vertex.count, ndmin=1, comments=None)
        except (ValueError, IndexError) as error:
            accepted = f"{len(vertex.properties)} numbers in each of {vertex.count} lines"
            raise InputError(f"rows of {name}", str(error).split("\n")[0], accepted, file=header.path) from error
    if len(rows) != vertex.count:
        raise InputError(f"rows of {name}", len(rows), f"{vertex.count}; the file is cut short", file=header.path)
    return rows


def header_text(comments: tuple[str, ...], elements: list[PlyElement]) -> bytes:
    """A binary little-endian header."""
    lines = ["ply", "format binary_little_endian 1.0", *(f"comment {' '.join(line.split())}".rstrip() for line in comments)]
    for element in elements:
        lines.append(f"element {element.name} {element.count}")
        lines += [f"property {TYPE_NAMES[code]} {name}" for name, code in element.properties]
    return "\n".join([*lines, "end_header", ""]).encode()


def _header_lines(path: Path, start: bytes) -> tuple[list[str], int]:
    """The lines up to end_header, and where the data begins."""
    if start[:4] not in (b"ply\n", b"ply\r"):
        raise InputError("magic", repr(start[:4]), "a .ply file, which begins with 'ply'", file=path)
    newline = b"\r\n" if start[:5] == b"ply\r\n" else start[3:4]
    end = start.find(newline + b"end_header")
    if end < 0:
        found = f"no end_header in the first {len(start)} bytes"
        raise InputError("header", found, "a whole .ply header; the file is cut short or damaged", file=path)
    stop = start.find(newline, end + 1)
    if stop < 0 or start[end + len(newline) : stop].strip() != b"end_header":
        raise InputError("header", "damaged at its end_header line", "a whole .ply header", file=path)
    lines = start[:end].decode("utf-8", errors="replace").split(newline.decode())
    return lines, stop + len(newline)


def _column(words: list[str]) -> tuple[str, str] | None:
    if len(words) == 3 and words[1] in TYPES:
        return words[2], TYPES[words[1]]
    if len(words) == 5 and words[1] == "list" and words[2] in TYPES and words[3] in TYPES:
        return words[4], "list"
    return None


def _check_names(header: PlyHeader) -> None:
    for element in header.elements:
        repeated = sorted({name for name in element.names if element.names.count(name) > 1})
        if repeated:
            found = f"more than one property {repeated[0]!r}"
            raise InputError(f"element {element.name}", found, "unique names", file=header.path)
