"""Writing so that nothing is ever half-written and no input is overwritten by accident."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scene_depth.errors import InputError

_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
_TEMPORARY = re.compile(r"\.scene-depth-([0-9a-f]{8})-(\d+)-")
"""Names of what is not finished: the machine and the process that write it."""


@contextmanager
def atomic_path(path: str | os.PathLike[str], *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` (same extension) that replaces it when the block ends without an error.

    Args:
        path: File to write. Its folder is made if missing.
        inputs: Files that the block reads; writing over one of them is refused.

    Raises:
        InputError: If ``path`` is one of ``inputs``, is a folder, or if it or its folder cannot be written.
    """
    path = check_output(path, inputs=inputs)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(), suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        size = temporary.stat().st_size
        with temporary.open(
            "ab"
        ) as file:  # fails if the disk became full at the last bytes, which NumPy and others do not notice
            file.write(b"\0")
        os.truncate(temporary, size)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENAMETOOLONG):
            raise
        reason = os.strerror(error.errno)
        raise InputError("output", reason, "space and a name that the disk takes; what was there stays", file=path) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: str | os.PathLike[str], *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> Path:
    """Checks that a file can be written, and makes its folder if missing; long work calls this first.

    Args:
        path: File to write.
        inputs: Files that must not be overwritten.

    Raises:
        InputError: If ``path`` is one of ``inputs``, is a folder, or if its folder cannot be written.
    """
    path = Path(path)
    if any(path.resolve() == Path(source).resolve() for source in inputs):
        raise InputError("output", "the path of the input", "another file, the input is never overwritten", file=path)
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # its folder is looked at below
        kind = stat.S_IFREG
    except (OSError, ValueError) as error:
        raise InputError("output", getattr(error, "strerror", None) or str(error), "a file name", file=path) from error
    if not stat.S_ISREG(kind):
        raise InputError("output", "a folder" if stat.S_ISDIR(kind) else "a device or pipe", "a file name", file=path)
    check_writable(path.parent)
    return path


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary folder whose contents become those of ``path`` when the block ends without an error.

    Since ``path`` must be new or empty, no input inside it can be overwritten.

    Args:
        path: Folder to write. Its parents are made if missing.

    Raises:
        InputError: If ``path`` is a file or a folder with something in it, or cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError("output folder", "a file", "a new or empty folder", file=path)
    is_new = not path.exists()
    check_writable(path.parent if is_new else path)
    for folder in {path.parent, path}:
        clear_strays(folder)
    if not is_new and any(path.iterdir()):
        raise InputError("output folder", "a folder with files in it", "a new or empty folder, nothing is overwritten", file=path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent if is_new else path, prefix=temporary_prefix()))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask() if is_new else path.stat().st_mode & 0o777)
        try:
            if not is_new:  # which is empty again then, and is replaced by one rename
                temporary = temporary.rename(path.parent / temporary.name)
            os.replace(temporary, path)
        except OSError:  # a mount point or the present folder, which stays
            if is_new:
                raise
            for child in temporary.iterdir():
                os.replace(child, path / child.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_writable(folder: str | os.PathLike[str]) -> Path:
    """Makes ``folder`` if missing; long work calls this first.

    Raises:
        InputError: If it cannot be made or written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            "output folder", error.strerror or str(error), "a folder that can be made and written", file=folder
        ) from error
    return folder


def clear_strays(folder: Path, below: Iterable[str] = ()) -> None:
    """Removes unfinished files and folders that killed processes of this machine left.

    Args:
        folder: Folder that is looked into.
        below: Folders in it that are looked into to their ends.
    """
    with suppress(OSError):
        deep = (path for name in below if not (folder / name).is_symlink() for path in (folder / name).rglob(".scene-depth-*"))
        for path in [*folder.iterdir(), *deep]:
            match = _TEMPORARY.match(path.name)
            if match and match[1] == _MACHINE and not _is_running(int(match[2])):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def temporary_prefix() -> str:
    """How names of unfinished files and folders of this process begin."""
    return f".scene-depth-{_MACHINE}-{os.getpid()}-"


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where signal 0 would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
