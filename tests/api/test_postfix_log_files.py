"""A log is read to the last line while it is rotated in every way, and while its reader is stopped and started."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.postfix_log import files
from api.postfix_log.files import CHUNK, LogFile, Place
from api.postfix_log.memory import InUse, Memory
from domain.postfix_log import Mail, Mails, Wait


class Log:
    """A log that is written and rotated, and a reader with a memory of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mail.log"
        self.written: list[bytes] = []
        self.seen: list[bytes] = []
        self.place: Place | None = Place()
        self._number = self._rotated = 0
        self.restart()

    def write(self, count: int) -> None:
        lines = [b"Nov 24 16:00:01 mail line %d" % number for number in range(self._number, self._number + count)]
        self._number += count
        self.written += lines
        with self.path.open("ab") as file:
            file.write(b"".join(one + b"\n" for one in lines))

    def rename(self) -> None:
        if self.path.exists():
            self._shift()
            self.path.rename(self.path.with_name("mail.log.1"))
            self._stamp()

    def copy_and_truncate(self) -> None:
        if self.path.exists():
            self._shift()
            shutil.copyfile(self.path, self.path.with_name("mail.log.1"))
            self._stamp()
            os.truncate(self.path, 0)

    def pack(self) -> None:
        for one in self.path.parent.glob("mail.log.[0-9]*"):
            if one.suffix != ".gz":
                at = one.stat().st_mtime
                packed = one.with_name(one.name + ".gz")
                packed.write_bytes(gzip.compress(one.read_bytes()))
                os.utime(packed, (at, at))
                one.unlink()

    def read(self) -> None:
        """Until nothing more comes."""
        while True:
            lines, place = self.file.lines()
            self.seen += [one for one in lines if one]
            self.file.move_to(place)
            self.place = place
            if not lines:
                return

    def restart(self) -> None:
        if hasattr(self, "file"):
            self.file.close()
        self.file = LogFile(self.path, self.place)

    def _shift(self) -> None:
        for number in range(20, 0, -1):
            for end in ("", ".gz"):
                one = self.path.with_name(f"mail.log.{number}{end}")
                if one.exists():
                    one.rename(self.path.with_name(f"mail.log.{number + 1}{end}"))

    def _stamp(self) -> None:
        """Rotations are hours apart, not parts of a second as here."""
        self._rotated += 1
        at = 1_700_000_000 + self._rotated * 3_600
        os.utime(self.path.with_name("mail.log.1"), (at, at))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


_STEPS = st.sampled_from(["write", "many", "rename", "copy_and_truncate", "pack", "read", "restart"])


@given(st.lists(_STEPS, max_size=30))
@settings(max_examples=150, deadline=None)
def test_every_line_is_read_once_and_in_its_order(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder))
        for number, step in enumerate(steps):
            match step:
                case "write":
                    log.write(1)
                case "many":
                    log.write(40 + number)
                case "rename" | "copy_and_truncate" if number and steps[number - 1] == step:
                    pass  # a log that nobody wrote to is not rotated
                case _:
                    getattr(log, step)()
        log.write(1)
        log.read()
        log.file.close()
        missing = [one for one in log.written if one not in set(log.seen)]
        # What was rotated away before anything was read is of a time before the reader.
        first = log.written.index(log.seen[0])
        assert missing == log.written[:first]
        assert log.seen == log.written[first:]


def test_an_empty_file_among_the_rotated_ones_is_passed_over(log: Log) -> None:
    """Rotated while nobody wrote, and packed like the others."""
    log.write(1)
    log.read()
    log.copy_and_truncate()
    log.rename()
    for _ in range(2):
        log.write(1)
        log.copy_and_truncate()
    log.pack()
    log.write(1)
    log.read()
    assert log.seen == log.written


def test_the_first_time_it_begins_with_what_is_written_from_now_on(log: Log) -> None:
    log.write(3)
    log.place = None
    log.restart()
    log.write(2)
    log.read()
    assert log.seen == log.written[3:]


def test_a_log_that_is_not_there_yet_is_waited_for(log: Log) -> None:
    assert log.file.lines() == ([], Place())
    log.write(1)
    log.read()
    assert log.seen == log.written


def test_half_a_line_is_waited_for_and_a_line_without_an_end_is_passed_over(log: Log) -> None:
    log.write(1)
    log.read()
    with log.path.open("ab") as file:
        file.write(b"half")
        file.flush()
        assert log.file.lines()[0] == []
        file.write(b" and half\n" + b"x" * (CHUNK + 10) + b"\nlast\n")
    log.read()
    assert log.seen[1] == b"half and half"
    assert log.seen[-1] == b"last"


def test_what_is_not_stored_is_read_again(log: Log) -> None:
    log.write(2)
    first, _ = log.file.lines()
    assert log.file.lines()[0] == first


def test_a_file_that_is_gone_is_told_and_the_present_one_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(files.log, "error", lambda event, **_: told.append(event))
    log.write(2)
    log.read()
    log.path.unlink()
    log.restart()
    log.write(1)
    log.read()
    assert log.seen == log.written
    assert told == ["postfix_log.lost"]


def test_the_memory_keeps_place_and_waiting_mails_and_has_one_reader(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    memory = Memory(tmp_path / "var", path)
    assert memory.place() is None
    mails = Mails()
    mails.open = {"A@mail": Mail(login="app", waiting={"ada@a.example": Wait("198.51.100.7", 5)}), "B@mail": Mail()}
    mails.changed = {"A@mail", "B@mail"}
    memory.keep(Place("ab", 2, 7), mails)
    with pytest.raises(InUse, match="Another reader follows"):
        Memory(tmp_path / "var", path)
    Memory(tmp_path / "var", tmp_path / "other.log").close()
    del mails.open["B@mail"]
    mails.changed = {"B@mail", "never@mail"}
    memory.keep(Place("ab", 2, 9), mails)
    memory.close()
    again = Memory(tmp_path / "var", path)
    assert (again.place(), again.mails().open) == (Place("ab", 2, 9), mails.open)
    again.close()
