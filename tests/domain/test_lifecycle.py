"""Where an IP stands, in the words of lists and pages."""

from __future__ import annotations

import pytest

from domain.lifecycle import awaiting_dns
from domain.words import Actor

PTR = "PTR 9.113.0.203.in-addr.arpa: Set the PTR of 203.0.113.9 to mail.shop.test in your own reverse zone."


@pytest.mark.parametrize(
    ("automatic", "problems", "words", "who"),
    [
        (True, [], "DNS to spread", Actor.TIME),
        (True, [PTR], f"a record to be entered by hand: {PTR}", Actor.REGISTRAR),
        (False, [PTR], "DNS records to be entered at the registrar", Actor.REGISTRAR),
    ],
)
def test_who_must_act_and_on_what_while_dns_is_awaited(
    automatic: bool, problems: list[str], words: str, who: Actor
) -> None:
    stands = awaiting_dns(automatic=automatic, problems=problems)
    assert (stands.waiting_for, stands.waiting_on) == (words, who)
