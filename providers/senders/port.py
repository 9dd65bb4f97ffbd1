"""The port of mail systems: what sends, from which addresses, and what is paused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.routing import Routes
from domain.sources import Source


class MailSystem(Protocol):
    """One mail system; its adapter is one file or folder here and a line in ``registry.py``.

    Both calls are made again and again with the whole state: what is so already is left alone.
    """

    name: str

    async def apply(self, sources: Sequence[Source]) -> list[str]:
        """Let the mail system know these sources, and none of ours besides; answers what was changed, in words.

        Raises:
            MailSystemError: it refuses or does not answer.
        """
        ...

    async def follow(self, routes: Routes, changed_at: float) -> list[str]:
        """Make pauses and closed IPs hold for mail that it already has; answers what was changed, in words.

        Args:
            changed_at: when the routes became what they are, Unix seconds.

        Raises:
            MailSystemError: it refuses or does not answer.
        """
        ...


class MailSystemError(Exception):
    """A mail system refused or did not answer; the message says which and what to do."""
