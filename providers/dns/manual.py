"""A person enters the records at the registrar."""

from __future__ import annotations

from collections.abc import Sequence

from domain.dns import Record


class ManualPublisher:
    """Publishes nothing; the journey waits for the records to appear."""

    automatic = False

    async def publish(self, record: Record, zone: str, present: Sequence[str]) -> int | None:
        """Leave it to the registrar."""
        return None
