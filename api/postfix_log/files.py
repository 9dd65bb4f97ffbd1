"""A log file that is rotated while it is read: by renaming, or by copying and truncating; packed by gzip or not.

A place in a log is an offset in the file that begins with certain bytes, wherever that file is by now. So a reader that
was away finds the rest of it under its rotated name, goes on with what was written after it, and comes to the file
that is written now.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

log = structlog.get_logger()

#: Bytes of one reading; a longer line is none of Postfix's and is passed over in pieces.
CHUNK = 250_000
#: Bytes that tell a file from others: its first lines have times, processes and queue ids.
HEAD = 1_000
#: Bytes of the shortest gzip file: header, an empty block, sum and size.
_GZIP_LEAST = 20
#: Packed by something else than gzip.
_PACKED = re.compile(r"\.(?:bz2|xz|zst|Z|zip|lz4)$")


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where a log was read.

    Attributes:
        head: digest of the first ``length`` bytes of the file.
        offset: bytes that were read, unpacked; 0 for the start of the file that is written now.
    """

    head: str = ""
    length: int = 0
    offset: int = 0


class LogFile:
    """Lines of a log from a place on.

    Args:
        path: where the log is written now.
        place: None to begin with what is written from now on.
    """

    def __init__(self, path: Path, place: Place | None) -> None:
        self._path = path
        self._opened: IO[bytes] | None = None
        self._place = self._end() if place is None else place

    @property
    def place(self) -> Place:
        """Where it is."""
        return self._place

    def lines(self) -> tuple[list[bytes], Place]:
        """The lines that were written after the place, as many as one reading takes, and the place behind them.

        The same again until :meth:`move_to` says that they are stored. Waits for nothing.

        Raises:
            OSError: a file cannot be read.
        """
        if not self._holds() and not self._find():
            return [], self._place
        while True:
            lines, place = self._read(complete=False)
            if place != self._place or not self._is_left():
                return lines, place
            # The writer has gone on to another file: what came in the meantime is the last of this one.
            lines, place = self._read(complete=True)
            if place != self._place or not self._open_next():
                return lines, place

    def move_to(self, place: Place) -> None:
        """What is before this place is stored."""
        self._place = place

    def behind(self) -> int:
        """Bytes that are written and not read yet; of files in between that were rotated, none are counted."""
        try:
            written = self._path.stat()
        except FileNotFoundError:
            return 0
        if self._opened is None:
            return max(0, written.st_size - self._place.offset)
        here = os.fstat(self._opened.fileno())
        # How much a packed file holds is not known before it is read.
        rest = 0 if isinstance(self._opened, gzip.GzipFile) else max(0, here.st_size - self._place.offset)
        return rest if (written.st_dev, written.st_ino) == (here.st_dev, here.st_ino) else rest + written.st_size

    def close(self) -> None:
        """Close what is open."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _end(self) -> Place:
        try:
            with self._path.open("rb") as file:
                head = file.read(HEAD)
                size = file.seek(0, os.SEEK_END)
        except FileNotFoundError:
            return Place()
        return Place(_digest(head), len(head), size)

    def _holds(self) -> bool:
        """Whether what is open still is what was read: it may have been truncated and written anew."""
        if self._opened is not None and not self._begins(self._opened):
            self.close()
        return self._opened is not None

    def _begins(self, file: IO[bytes]) -> bool:
        if not self._place.offset:
            return True
        file.seek(0)
        head = file.read(self._place.length)
        return _digest(head) == self._place.head and (
            isinstance(file, gzip.GzipFile) or _size(file) >= self._place.offset
        )

    def _find(self) -> bool:
        """Open the file that was read last, under whatever name; when it is gone, the one that is written now."""
        names = self._names()
        if self._place.offset:
            for name in reversed(names):
                if self._try(name):
                    return True
            if self._path in names:
                log.error("postfix_log.lost", file=str(self._path), reason="the file that was read last is gone")
        if self._path not in names:
            return False
        self._opened, self._place = self._path.open("rb"), Place()
        return True

    def _try(self, name: Path) -> bool:
        try:
            file = _open(name)
            if self._begins(file):
                self._opened = file
                return True
            file.close()
        except (OSError, EOFError, zlib.error) as error:
            log.warning("postfix_log.unread", file=str(name), reason=str(error))
        return False

    def _read(self, *, complete: bool) -> tuple[list[bytes], Place]:
        """The next lines of the open file.

        Args:
            complete: nobody writes into it any more, so its last line has no end to wait for.
        """
        assert self._opened is not None
        before = self._place
        try:
            self._opened.seek(before.offset)
            data = self._opened.read(CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            log.error("postfix_log.lost", file=str(self._path), reason=f"a packed file is broken: {error}")
            return [], before
        end = data.rfind(b"\n") + 1
        if len(data) == CHUNK:
            end = end or CHUNK
        elif complete:
            end = len(data)
        if not end:
            return [], before
        head, length = before.head, before.length
        if length < HEAD:
            self._opened.seek(0)
            first = self._opened.read(min(HEAD, before.offset + end))
            head, length = _digest(first), len(first)
        return data[:end].split(b"\n"), Place(head, length, before.offset + end)

    def _is_left(self) -> bool:
        """Whether the log is written elsewhere by now; an empty file is one that the writer has not come to."""
        assert self._opened is not None
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._opened.fileno())
        return (now.st_dev, now.st_ino) != (here.st_dev, here.st_ino) and now.st_size > 0

    def _open_next(self) -> bool:
        """Open the file that was written after the one that is read to its end."""
        names = self._names()
        if self._path not in names:
            return False
        if not self._place.offset:
            following = self._path
        else:
            self.close()
            at = next((at for at in range(len(names) - 1, -1, -1) if self._try(names[at])), len(names) - 2)
            following = names[min(at + 1, len(names) - 1)]
        self.close()
        self._opened, self._place = _open(following), Place()
        return True

    def _names(self) -> list[Path]:
        """The log and its rotated files, the oldest first, the one that is written now last."""
        near = {one for one in self._path.parent.glob(f"{self._path.name}*") if one.is_file()}
        rotated = [
            one
            for one in near - {self._path}
            # While a file is packed, both are there.
            if one.name[len(self._path.name)] in ".-" and not _PACKED.search(one.name) and not _empty(one)
            and not (one.suffix == ".gz" and one.with_suffix("") in near)
        ]  # fmt: skip
        rotated.sort(key=lambda one: (one.stat().st_mtime_ns, one.name))
        return [*rotated, self._path] if self._path in near else rotated


def _open(name: Path) -> IO[bytes]:
    return gzip.open(name) if name.suffix == ".gz" else name.open("rb")  # type: ignore[return-value]


def _empty(name: Path) -> bool:
    """Whether nothing is in a file; a packed one ends with the size of what it holds (RFC 1952)."""
    size = name.stat().st_size
    if name.suffix != ".gz" or size < _GZIP_LEAST:
        return size == 0
    try:
        with name.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            return not any(file.read())
    except OSError:
        return False  # that it cannot be read is told when it is tried


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
