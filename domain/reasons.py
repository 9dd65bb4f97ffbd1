"""What may be said as the reason of a command."""

from __future__ import annotations

from domain import text
from domain.refusals import Refused

#: Characters: the audit shows it in a column.
LONGEST_REASON = 500


def check_reason(reason: str) -> None:
    """Whether the audit can keep and show this reason; it may be empty.

    Raises:
        Refused: it is too long, or cannot be shown.
    """
    if len(reason) > LONGEST_REASON:
        raise Refused(f"reason: it has {len(reason)} characters; {LONGEST_REASON} at most.", field="reason")
    text.check("reason", reason)
