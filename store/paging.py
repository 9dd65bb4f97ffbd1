"""What every list that is given in pages refuses alike."""

from __future__ import annotations

from domain.refusals import Refused


def no_cursor() -> Refused:
    """The refusal of an ``after`` that is the ``next`` of no page."""
    return Refused(
        "after: this is no cursor of the list; leave it out to begin again.", field="after", code="no_cursor"
    )
