"""Postfix policy delegation (SMTPD_POLICY_README): attributes in, one action out.

A question is lines of ``name=value`` and an empty line. Only ``RCPT`` is counted, and what names no stage; other
stages pass.
"""

from __future__ import annotations

from collections.abc import Awaitable

from gate.connection import Broken, Connection, Connections
from gate.counter import Counter
from gate.desk import Allow, Defer

PASS = b"action=DUNNO\n\n"
#: Characters of a reason: Postfix puts code and recipient before it, and an SMTP reply line has 512.
REASON = 400


#: What is read of a question, in the order in which Postfix sends it and :func:`attributes` answers.
_NAMES = ("request", "protocol_state", "sender", "recipient", "instance", "sasl_username")
_KEYS = tuple((f"\n{name}=", len(name) + 2) for name in _NAMES)


def attributes(text: str) -> list[str]:
    """The values of :data:`_NAMES`, empty where one is absent; ``text`` starts and ends with a line end.

    Found by their names, each looked for from the one before on, and not by splitting all 25 lines: this is a third
    of the work of an answer.
    """
    found, end = [], 0
    for key, length in _KEYS:
        start = text.find(key, end)
        if start < 0 and (start := text.find(key)) < 0:
            found.append("")
            continue
        start += length
        end = text.find("\n", start)
        found.append(text[start:end])
    return found


def one_line(reason: str) -> str:
    """A reason as an SMTP reply needs it: one line of printable ASCII that is not too long."""
    return "".join(one if " " <= one <= "~" else "?" for one in reason[:REASON])


def deferred(reason: str) -> bytes:
    """``DEFER`` with its reason."""
    return f"action=DEFER 4.7.1 {one_line(reason)}\n\n".encode()


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
        request, state, mail_from, recipient, instance, login = attributes("\n" + question.decode("utf-8", "replace"))
        if request != "smtpd_access_policy":
            raise Broken("not a policy request")
        if state not in ("RCPT", ""):
            return PASS
        answer = self._counter.ask_now(login, mail_from, recipient, instance)
        if isinstance(answer, Allow):
            return answer.policy
        if answer is None:
            return self._later(login, mail_from, recipient, instance)
        return deferred(answer.reason)

    async def _later(self, login: str, mail_from: str, recipient: str, instance: str) -> bytes:
        answer = await self._counter.ask(login, mail_from, recipient, instance)
        return deferred(answer.reason) if isinstance(answer, Defer) else answer.policy
