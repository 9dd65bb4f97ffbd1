"""Whatever a peer sends: no crash, no hang, no growth, and the gate goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.blocks import Block
from domain.routing import Exit, Routes
from domain.words import MailboxProvider
from gate.connection import ARRIVES_SECONDS, SILENT_SECONDS, Connection, Connections
from gate.counter import Counter
from gate.desk import Desk
from gate.policy import Policy, deferred
from gate.providers import Providers
from gate.socketmap import Socketmap, netstring
from tests.gate.conftest import request

ADDRESS = "198.51.100.7"


class Wire:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.written = b""
        self.open = True
        self.reading = True

    def write(self, data: bytes) -> None:
        """Remember."""
        assert self.open
        self.written += data

    def close(self) -> None:
        """No more."""
        self.open = False

    def abort(self) -> None:
        """No more, at once."""
        self.open = False

    def pause_reading(self) -> None:
        """No more for now."""
        self.reading = False

    def resume_reading(self) -> None:
        """On again."""
        self.reading = True


def counter(left: int = 10**6) -> Counter:
    """A gate's memory with one IP and much allowance, and no store behind it."""
    desk = Desk()
    desk.install(
        Routes(exits={ADDRESS: Exit(ADDRESS, "main")}, senders={"acme": "main"}, matches={"acme.example": "acme"})
    )
    for one in MailboxProvider:
        desk.put(Block(ADDRESS, one, 0, 0, left, left, 2**60, room=left, share=1.0))
    return Counter(desk, None, Providers("127.0.0.1@1", 0.1), 1.0)  # type: ignore[arg-type]


def connected(kind: type[Policy] | type[Socketmap], most: int = 10, left: int = 10**6) -> tuple[Connection, Wire]:
    """One peer."""
    connection, wire = kind(Connections(most), counter(left)), Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]
    return connection, wire


def feed(connection: Connection, wire: Wire, data: bytes, cuts: list[int]) -> None:
    """Bytes as they may arrive, in pieces."""
    edges = [0, *sorted(one % (len(data) + 1) for one in cuts), len(data)]
    for start, end in zip(edges, edges[1:], strict=False):
        if wire.open and end > start:
            connection.data_received(data[start:end])
            assert len(connection.buffer) <= connection.limit + len(data)


PIECES = st.lists(st.integers(0, 10_000), max_size=6)
LINES = st.one_of(
    st.sampled_from([
        b"request=smtpd_access_policy\n", b"protocol_state=RCPT\n", b"protocol_state=DATA\n", b"\n", b"=\n", b"\r\n",
        b"sender=news@acme.example\n", b"recipient=a@gmail.com\n", b"recipient=\n", b"instance=1.2\n", b"request=\n",
        b"sasl_username=\xff\xfe\n", b"recipient=@\n", b"recipient=" + b"a" * 5000 + b"@gmail.com\n",
        b"sender=" + b"a" * 5000 + b"@elsewhere.example\n",
    ]),
    st.binary(max_size=60),
)  # fmt: skip


@given(st.lists(LINES, max_size=40), PIECES)
async def test_any_bytes_at_the_policy_service(lines: list[bytes], cuts: list[int]) -> None:
    connection, wire = connected(Policy)
    feed(connection, wire, b"".join(lines), cuts)
    while (task := connection._task) is not None:
        await asyncio.wait_for(task, 5)
    for answer in wire.written.split(b"\n\n")[:-1]:
        assert answer.startswith((b"action=DUNNO", b"action=FILTER wp-198-51-100-7:", b"action=DEFER 4.7.1 "))
        assert b"\n" not in answer
        assert len(answer) < 512


LOOK_UPS = st.one_of(
    st.sampled_from([
        "transport a@acme.example", "spend a@acme.example b@gmail.com", "transport <>", "nothing x", "spend", "",
    ]).map(netstring),
    st.sampled_from([b"00:,", b"99999:", b"1000000:", b"-1:,", b"9:transport,", b"3:abcd"]),
    st.binary(max_size=40),
)  # fmt: skip


@given(st.lists(LOOK_UPS, max_size=20), PIECES)
async def test_any_bytes_at_the_socketmap(pieces: list[bytes], cuts: list[int]) -> None:
    connection, wire = connected(Socketmap)
    feed(connection, wire, b"".join(pieces), cuts)
    while (task := connection._task) is not None:
        await asyncio.wait_for(task, 5)
    left = wire.written
    while left:
        length, _, rest = left.partition(b":")
        said, left = rest[: int(length)], rest[int(length) + 1 :]
        assert rest[int(length) : int(length) + 1] == b","
        assert said.split(b" ")[0] in (b"OK", b"NOTFOUND", b"TEMP", b"PERM")


@given(st.integers(1, 30), PIECES)
async def test_questions_are_answered_in_order_however_they_arrive(count: int, cuts: list[int]) -> None:
    connection, wire = connected(Policy)
    asked = [
        request(f"a{one}@gmail.com", instance=str(one), sender="a@acme.example" if one % 2 else "x@strange.example")
        for one in range(count)
    ]
    feed(connection, wire, b"".join(asked), cuts)
    said = wire.written.split(b"\n\n")[:-1]
    assert [one.startswith(b"action=FILTER") for one in said] == [bool(one % 2) for one in range(count)]


@given(st.text(max_size=300))
@example("no sender is known for sender " + "a" * 16_000)
def test_a_reason_is_one_line_of_ascii(reason: str) -> None:
    said = deferred(reason)
    assert len(said) < 450
    assert said.startswith(b"action=DEFER 4.7.1 ")
    assert said.endswith(b"\n\n")
    assert said.count(b"\n") == 2
    assert said.decode("ascii")


@pytest.mark.parametrize(
    ("kind", "data"),
    [(Policy, b"request=" + b"x" * 20_000), (Policy, b"x" * 16_400 + b"\n\n"), (Policy, b"request=other\n\n"),
     (Socketmap, b"123456:"), (Socketmap, b"x"), (Socketmap, b"3:abcd"), (Socketmap, b"99999:abc")],
)  # fmt: skip
def test_what_is_no_question_ends_the_connection(kind: type[Any], data: bytes) -> None:
    connection, wire = connected(kind)
    connection.data_received(data)
    assert not wire.open


def test_a_peer_too_many_is_turned_away() -> None:
    connections, desk = Connections(3), counter()
    wires = []
    for _ in range(5):
        wires.append(Wire())
        Policy(connections, desk).connection_made(wires[-1])  # type: ignore[arg-type]
    assert [wire.open for wire in wires] == [True] * 3 + [False] * 2
    assert connections.refused == 2


def test_half_a_question_and_a_silent_peer_are_not_kept_for_ever() -> None:
    connection, wire = connected(Policy)
    connections = connection._connections
    connections.sweep(0.0)
    for second in range(0, int(ARRIVES_SECONDS) + 2):
        if wire.open:
            connection.data_received(b"r")  # a byte now and then makes no question
        connections.sweep(float(second))
    assert not wire.open
    connection, wire = connected(Policy)
    connection._connections.sweep(0.0)
    connection._connections.sweep(SILENT_SECONDS + 1)
    assert not wire.open


async def test_a_peer_that_goes_on_asking_while_it_waits_is_not_read() -> None:
    connection, wire = connected(Policy, left=0)
    released = asyncio.Event()

    async def slow() -> bytes:
        await released.wait()
        return b"action=DUNNO\n\n"

    def ask(question: bytes) -> bytes | Awaitable[bytes]:
        return slow()

    connection.ask = ask  # type: ignore[method-assign]
    for one in range(100):
        if wire.reading:
            connection.data_received(request(f"a{one}@gmail.com"))
    assert not wire.reading
    assert len(connection.buffer) < 2 * connection.limit
    held = connection.buffer.count(b"\n\n")
    released.set()
    while wire.written.count(b"\n\n") < held + 1:
        await asyncio.sleep(0)
    assert wire.reading


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.desk.MESSAGES", 100)
    monkeypatch.setattr("gate.desk.LINES", 100)
    monkeypatch.setattr("gate.providers.DOMAINS", 100)
    connection, wire = connected(Policy)
    desk, providers = connection._counter.desk, connection._counter.providers  # type: ignore[attr-defined]
    for one in range(2000):
        wire.written = b""
        connection.data_received(request(f"a@h{one}", instance=str(one), sender=f"n{one}@acme.example"))
        assert wire.written.startswith(b"action=FILTER")
    assert len(desk._messages) + len(desk._messages_before) <= 200
    assert len(desk._lines) <= 100
    assert len(providers._known) <= 100


def test_addresses_that_are_none_are_answered_and_not_remembered() -> None:
    connection, wire = connected(Policy)
    desk = connection._counter.desk  # type: ignore[attr-defined]
    long = "n" * 5_000
    for question in (
        request(f"{long}@h", instance="1"),
        request("a@h", instance=long),
        request("a@h", sender=f"{long}@acme.example"),
    ):
        wire.written = b""
        connection.data_received(question)
        assert wire.written.startswith(b"action=FILTER")
    assert (len(desk._messages), len(desk._lines)) == (0, 1)


async def test_a_peer_whose_answer_fails_is_let_go_and_does_not_wait_for_ever() -> None:
    connection, wire = connected(Policy)

    class Broken:
        """Fails as no part of a gate should."""

        def ask_now(self, *_: str) -> None:
            """Not from memory."""

        async def ask(self, *_: str) -> None:
            """Not at all."""
            raise RuntimeError("unforeseen")

    connection._counter = Broken()  # type: ignore[attr-defined]
    connection.data_received(request("a@gmail.com"))
    assert connection._task is not None
    await asyncio.wait([connection._task])
    assert not wire.open
    assert not connection.busy
    assert connection._connections.failed == 1


async def test_a_peer_that_reads_no_answers_does_not_keep_its_place() -> None:
    connection, wire = connected(Policy)
    wire.close = lambda: None  # type: ignore[method-assign] - a transport closes once its peer has read everything
    connection.data_received(request("a@gmail.com"))
    for now in (0.0, SILENT_SECONDS + 1):
        connection._connections.sweep(now)
    assert not wire.open
