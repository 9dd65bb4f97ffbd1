"""Text that nothing may hold, wherever it comes from: control characters, and halves of characters."""

from __future__ import annotations

import re

from domain.refusals import Refused

#: C0 and DEL without tab and line ends. A store cannot keep NUL, and the rest steers terminals that show a log.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check(where: str, text: str) -> None:
    """Whether a text can be kept and shown.

    Args:
        where: the input it is of, as the caller spelled it.

    Raises:
        Refused: names the input and the character.
    """
    bad = _CONTROL.search(text)
    if bad is not None:
        raise Refused(
            f"{where}: there is a control character (U+{ord(bad.group()):04X}) in the text; take it out.",
            field=where,
            code="control_character",
        )
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise Refused(
            f"{where}: there is half of a character (a lone surrogate) in the text; send whole ones.",
            field=where,
            code="surrogate",
        )
