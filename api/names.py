"""Names that operators give, and what a name has to look like, in words instead of a pattern."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from domain.addresses import spelled
from domain.refusals import Refused

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_CAMPAIGN = r"^[a-z0-9][a-z0-9._-]*$"
_MATCH = r"^[^\s\x00-\x1f\x7f]+$"

#: A pool or a sender.
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=_NAME)]

#: One that is there already, also from before names had to look like anything.
Known = Annotated[str, Field(min_length=1, max_length=254)]

#: A campaign as its mail names it, so without `+` and in lower case.
CampaignName = Annotated[str, Field(min_length=1, max_length=60, pattern=_CAMPAIGN)]

#: A login, an address or a domain, without spaces and control characters.
Match = Annotated[str, Field(min_length=1, max_length=254, pattern=_MATCH)]


def _one_spelling(given: str) -> str:
    try:
        return spelled(given)
    except Refused:
        return given


#: An address in any spelling, as the inventory spells it; what is none stays as it is, and is not found there.
Address = Annotated[str, Field(max_length=60), AfterValidator(_one_spelling)]

#: The IP that a path is about, in any spelling; what is no address is refused with its reason.
IpPath = Annotated[str, AfterValidator(spelled)]

#: Pattern to the sentence that a person reads when it does not fit.
SAID = {
    _NAME: "Use letters, digits, dots, dashes and underscores, and begin with a letter or a digit.",
    _CAMPAIGN: "Use small letters, digits, dots, dashes and underscores, and begin with a letter or a digit.",
    _MATCH: "Give a login, an address or a domain without spaces.",
}
