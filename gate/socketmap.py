"""Postfix socketmap (socketmap_table(5)): netstrings ``name key`` in, a transport out.

Maps:
    ``transport``: the key is an envelope sender; answers the transport that its mail leaves by now and
        grants nothing. For ``sender_dependent_default_transport_maps`` beside the policy service.
    ``spend``: the key is ``sender`` or ``sender recipient``; grants one mail for each look-up. For mail
        systems that ask a map for every mail and no policy service.
    ``sender``, then ``recipient``: the same for the queue manager of Postfix, which resolves mail that no
        policy answer bound to a transport. It asks ``sender_dependent_default_transport_maps`` by sender and
        then ``transport_maps`` by recipient, over one connection (measured with 3.7): the first is remembered and
        not found, the second grants one mail.
    ``routes``: the fingerprint of the routes that this gate goes by, whatever the key.

A pause or a cap is the transport ``retry:4.7.1 REASON``, which keeps the mail in the queue.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gate.connection import Broken, Connection, Connections
from gate.counter import Counter
from gate.desk import Allow, Defer
from gate.policy import one_line

#: Digits of the length of a netstring; longer ones are longer than any question.
DIGITS = 5
#: Postfix asks for the empty sender by these keys (``empty_address_default_transport_maps_lookup_key``).
NULL_SENDERS = ("<>", '"<>"')
NOT_FOUND = b"9:NOTFOUND ,"


def netstring(text: str) -> bytes:
    """``5:hello,``."""
    content = text.encode()
    return b"%d:%b," % (len(content), content)


class Socketmap(Connection):
    """One ``trivial-rewrite`` or other client of maps."""

    def __init__(self, connections: Connections, counter: Counter) -> None:
        super().__init__(connections)
        self._counter = counter
        self._sender = ""

    def cut(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """The content of a netstring."""
        colon = data.find(b":", start, start + DIGITS + 1)
        if colon < 0:
            head = data[start : start + DIGITS + 1]
            if len(head) > DIGITS or (head and not head.isdigit()):
                raise Broken("no netstring")
            return None, start
        digits = data[start:colon]
        if not digits.isdigit() or (len(digits) > 1 and digits.startswith(b"0")) or int(digits) > self.limit:
            raise Broken("no netstring")
        end = colon + 1 + int(digits)
        if len(data) <= end:
            return None, start
        if data[end : end + 1] != b",":
            raise Broken("a netstring without its comma")
        return data[colon + 1 : end], end + 1

    def ask(self, question: bytes) -> bytes | Awaitable[bytes]:
        """``OK transport:``, ``NOTFOUND``, or ``PERM`` for a map that is not there."""
        name, _, key = question.decode("utf-8", "replace").partition(" ")
        if name == "transport":
            return self._transport(key)
        if name == "spend":
            mail_from, _, recipient = key.partition(" ")
            return self._spend(mail_from, recipient)
        if name == "sender":
            self._sender = key
            return NOT_FOUND
        if name == "recipient":
            # Without a recipient it is a question about the whole map; without a sender it is the mail of Postfix.
            if "@" not in key or self._own(self._sender):
                return NOT_FOUND
            return self._spend(self._sender, key)
        if name == "routes":
            return netstring(f"OK {self._counter.desk.fingerprint}")
        return netstring(f"PERM there is no map {name[:40]!r}; ask for transport, spend, or sender and recipient")

    def _spend(self, mail_from: str, recipient: str) -> bytes | Awaitable[bytes]:
        answer = self._counter.ask_now("", mail_from, recipient, "")
        return self._found(answer) if answer is not None else self._later(mail_from, recipient)

    def _own(self, sender: str) -> bool:
        """Postfix's own bounces go as they would without a gate, unless a pool takes mail of nobody."""
        routes = self._counter.desk.routes
        return sender in NULL_SENDERS and not (routes and routes.default_pool)

    def _found(self, answer: Allow | Defer) -> bytes:
        if isinstance(answer, Allow):
            return netstring(f"OK {self._counter.desk.transport(answer.address)}")
        return netstring(f"OK retry:4.7.1 {one_line(answer.reason)}")

    def _transport(self, key: str) -> bytes:
        if self._own(key):
            return NOT_FOUND
        if self._counter.desk.routes is None:
            return netstring("TEMP the gate has not read its routes yet")
        line = self._counter.desk.line("", key)
        return self._found(line if isinstance(line, Defer) else self._counter.desk.where(line))

    async def _later(self, mail_from: str, recipient: str) -> bytes:
        return self._found(await self._counter.ask("", mail_from, recipient, ""))
