"""What an access token may be called."""

from __future__ import annotations

from domain import text
from domain.refusals import Refused

#: Characters: the audit names its holder in every line.
LONGEST_NAME = 100


def check_name(name: str) -> None:
    """Whether a token may have this name, which tells people whose it is.

    Raises:
        Refused: it says nothing, is too long, or cannot be shown.
    """
    if not name.strip():
        raise Refused(
            "name: it is empty; say whose token it is, such as the name of a person or a program.", field="name"
        )
    if len(name) > LONGEST_NAME:
        raise Refused(f"name: it has {len(name)} characters; {LONGEST_NAME} at most.", field="name")
    text.check("name", name)
