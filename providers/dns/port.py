"""What the DNS set-up needs of whoever publishes records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.dns import Record


class PublishFailed(Exception):
    """The publisher did not take the records; the message says who refused what. May be tried again."""


class Changed(PublishFailed):
    """Somebody changed the name since it was looked at: look, render and publish again."""


class Publisher(Protocol):
    """Publishes records into a zone."""

    #: False when a person enters the records.
    automatic: bool

    async def publish(self, record: Record, zone: str, present: Sequence[str]) -> int | None:
        """Put a record's expected values in place, leaving what others put at the same name.

        Args:
            zone: apex of the zone, without the final dot.
            present: all values found at the name now; those that are the record's own are replaced.

        Returns:
            The zone serial that holds the record, where the publisher knows it.

        Raises:
            PublishFailed: nothing was changed.
        """
        ...
