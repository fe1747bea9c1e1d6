"""Inputs and outputs that are addresses, such as s3://bucket/folder, by fsspec.

Each kind of address needs its own library, an extra of this package: `s3`, `gs`, `hf`; fsspec alone does http and the
like. Credentials and endpoints are those libraries' own business (for S3: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, …).
"""

from __future__ import annotations

import contextlib
import errno
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import UsageError

__all__ = ["find", "is_remote", "local_copy", "open_remote", "output_folder"]

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "hf"}
_BUFFER = 1 << 17


def is_remote(name: str) -> bool:
    r"""Return whether a name is an address, not a path.

    >>> is_remote("s3://bucket/a.jsonl"), is_remote("a.jsonl"), is_remote("C:\\a.jsonl")
    (True, False, False)
    """
    return bool(_ADDRESS.match(name))


def _file_system(url: str) -> tuple[Any, str]:
    protocol = url.partition("://")[0]
    extra = _EXTRAS.get(protocol, "remote")
    try:
        import fsspec

        file_system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"{url}: needs another library; install it: pip install 'textsieve[{extra}]'") from error
    except ValueError as error:
        raise UsageError(f"{url}: {error}; use for example s3://, gs://, hf:// or https://") from error
    return file_system, path


@contextlib.contextmanager
def _said_as_os_errors() -> Iterator[None]:
    """Libraries of remote systems raise what they like; all of it means that reading or writing failed."""
    try:
        yield
    except (UsageError, OSError) as error:
        if isinstance(error, OSError) and error.strerror is None:
            raise type(error)(error.errno or errno.EIO, _one_line(error)) from error
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"{type(error).__name__}: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def find(url: str) -> Iterator[tuple[str, int, bool]]:
    """Yield the files that an address stands for, in order: address, bytes, and whether the address is the file's own.

    A folder stands for all files under it, a pattern for those it matches.

    Raises:
        UsageError: the address cannot be understood, or needs a library that is not installed.
        OSError: it cannot be reached, or nothing is there.
    """
    with _said_as_os_errors():
        file_system, path = _file_system(url)
        # A name with a bracket in it may be a file all the same.
        if "*" not in path and file_system.isfile(path):
            yield url, int(file_system.size(path) or 0), True
            return
        has_magic = any(mark in path for mark in "*?[")
        found = file_system.glob(path, detail=True) if has_magic else file_system.find(path, detail=True)
        scheme = url.rstrip("/").removesuffix(path.strip("/"))
        for name, facts in sorted(found.items()):
            if facts["type"] == "file":
                yield f"{scheme}{name.lstrip('/')}", int(facts.get("size") or 0), False
        if not found:
            raise FileNotFoundError(errno.ENOENT, "nothing is there")


class _RemoteFile(io.RawIOBase):
    """A remote file, whose errors are those of a local one."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def readinto(self, buffer: Any) -> int:
        with _said_as_os_errors():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _said_as_os_errors():
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_remote(url: str) -> io.BufferedReader:
    """Return a remote file, opened for reading.

    Raises:
        OSError: it cannot be read.
        UsageError: as for `find`.
    """
    with _said_as_os_errors():
        file_system, path = _file_system(url)
        return io.BufferedReader(_RemoteFile(file_system.open(path, "rb")), _BUFFER)


@contextlib.contextmanager
def output_folder(name: str, *, force: bool = False) -> Iterator[Path]:
    """Yield the folder to write results to; for an address a temporary one, which is copied there if all went well.

    Each file appears whole, and the summary last: where it stands, the rest does too.

    Args:
        name: a folder, or an address of one.
        force: whether to replace results that are there already.

    Raises:
        UsageError: there are results already, the address cannot be reached, or needs a library that is not installed.
    """
    if not is_remote(name):
        yield Path(name)
        return
    from .writers import SUMMARY, results_among

    try:
        with _said_as_os_errors():
            file_system, root = _file_system(name)
            root = root.rstrip("/")
            there = sorted(path[len(root) + 1 :] for path in file_system.find(root))
    except OSError as error:
        raise UsageError(f"{name}: cannot be reached ({error.strerror}); check the address and credentials") from error
    old = results_among(there)
    if old and not force:
        raise UsageError(f"{name}/{old[0]}: exists already; add --force to replace it, or name another folder")
    with tempfile.TemporaryDirectory(prefix="textsieve-") as folder:
        local = Path(folder, "out")
        yield local
        names = [path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()]
        names.sort(key=lambda one: (one == SUMMARY, one))
        try:
            with _said_as_os_errors():
                # An old summary must not vouch for files of which only some are new.
                if SUMMARY in old:
                    file_system.rm_file(f"{root}/{SUMMARY}")
                for one in sorted(set(old) - set(names) - {SUMMARY}):
                    file_system.rm_file(f"{root}/{one}")
                for one in names:
                    file_system.makedirs(f"{root}/{one}".rpartition("/")[0], exist_ok=True)
                    file_system.put_file(str(local / one), f"{root}/{one}")
        except OSError as error:
            reason = f"{name}: cannot be written to ({error.strerror})"
            raise UsageError(f"{reason}; without {SUMMARY}, what is there is not complete") from error


@contextlib.contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """Yield a file or folder; for an address a temporary copy of the files there.

    Raises:
        UsageError: it cannot be read.
    """
    if not is_remote(name):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="textsieve-") as folder:
        try:
            with _said_as_os_errors():
                file_system, root = _file_system(name)
                is_file = file_system.isfile(root)
                paths = [root] if is_file else file_system.find(root, maxdepth=1)
                for path in paths:
                    file_system.get_file(path, str(Path(folder, path.rpartition("/")[2])))
        except OSError as error:
            raise UsageError(f"{name}: cannot be read ({error.strerror}); check the address") from error
        yield Path(folder, root.rpartition("/")[2]) if is_file else Path(folder)
