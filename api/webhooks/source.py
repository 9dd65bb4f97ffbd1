"""What a source of events is: a module of this package with these names, and a line in the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.events import MailEvent
from settings import Settings

#: Fetches a certificate or confirms a subscription: URL in, body out, raises OSError when it cannot.
Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class Delivery:
    """A request as it came.

    Attributes:
        headers: names in any case.
        now: epoch seconds.
    """

    body: bytes
    headers: Mapping[str, str]
    settings: Settings
    now: float
    fetch: Fetch


@dataclass
class Reading:
    """What a verified request says; ``once`` is (space, key) of a signature that counts a single time."""

    events: list[MailEvent]
    once: tuple[str, str] | None = None


class Source(Protocol):
    """One file of this package."""

    @property
    def SETTING(self) -> str:  # noqa: N802 - a constant of the module
        """The field of the settings without which the source is shut."""

    async def read(self, delivery: Delivery) -> Reading:
        """Events of a request whose signature, key or password is right.

        Raises:
            Rejected: forged, replayed or unreadable.
        """

    def normalise(self, body: bytes, now: float) -> list[MailEvent]:
        """Events of a body that nobody signed: what an operator asks about from a shell.

        Raises:
            Rejected: it cannot be read.
        """
