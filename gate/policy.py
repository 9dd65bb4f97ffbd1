"""Postfix policy delegation (SMTPD_POLICY_README): attributes in, one action out.

A question is lines of ``name=value`` and an empty line. Only ``RCPT`` is counted; other stages pass.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gate.connection import Broken, Connection, Connections
from gate.counter import Counter
from gate.desk import Allow, Defer

PASS = b"action=DUNNO\n\n"


def attribute(text: str, name: str) -> str:
    """The value of an attribute, empty when it is absent; ``text`` starts with a line end."""
    start = text.find(f"\n{name}=")
    if start < 0:
        return ""
    start += len(name) + 2
    return text[start : text.find("\n", start)]


def deferred(reason: str) -> bytes:
    """``DEFER`` with its reason: one line of printable ASCII, as an SMTP reply needs it."""
    said = "".join(one if " " <= one <= "~" else "?" for one in reason)
    return f"action=DEFER 4.7.1 {said}\n\n".encode()


class Policy(Connection):
    """One ``smtpd`` of Postfix."""

    def __init__(self, connections: Connections, counter: Counter) -> None:
        super().__init__(connections)
        self._counter = counter

    def cut(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """Up to the empty line."""
        end = data.find(b"\n\n", start)
        if end < 0:
            return None, start
        if end - start > self.limit:
            raise Broken("too long")
        return data[start : end + 1], end + 2

    def ask(self, question: bytes) -> bytes | Awaitable[bytes]:
        """The action for one recipient."""
        text = "\n" + question.decode("utf-8", "replace")
        if attribute(text, "request") != "smtpd_access_policy":
            raise Broken("not a policy request")
        if attribute(text, "protocol_state") != "RCPT":
            return PASS
        login, mail_from = attribute(text, "sasl_username"), attribute(text, "sender")
        recipient, instance = attribute(text, "recipient"), attribute(text, "instance")
        answer = self._counter.ask_now(login, mail_from, recipient, instance)
        if isinstance(answer, Allow):
            return answer.policy
        if answer is None:
            return self._later(login, mail_from, recipient, instance)
        return deferred(answer.reason)

    async def _later(self, login: str, mail_from: str, recipient: str, instance: str) -> bytes:
        answer = await self._counter.ask(login, mail_from, recipient, instance)
        return deferred(answer.reason) if isinstance(answer, Defer) else answer.policy
