"""Times, money and numbers in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ui.pieces import places, words

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(seconds=1), "now"),
        (timedelta(seconds=40), "40 seconds ago"),
        (timedelta(minutes=5), "5 minutes ago"),
        (timedelta(hours=6), "6 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=-3), "in 3 days"),
    ],
)
def test_times_are_relative(before: timedelta, said: str) -> None:
    assert words.ago((NOW - before).isoformat(), NOW) == said


def test_the_exact_time_is_on_hover_and_escaped() -> None:
    assert 'title="2026-03-01 12:00:00 UTC"' in words.when("2026-03-01T12:00:00Z")
    assert words.when("<b>") == '<span title="time not known">–</span>'


def test_money_has_its_currency_and_numbers_are_grouped() -> None:
    assert words.money({"amount": "8.00", "currency": "USD"}) == "8.00 USD"
    assert words.money(None) == "–"
    assert words.number(1234567) == "1,234,567"
    assert words.number(None) == "–"


@pytest.mark.parametrize(
    ("typed", "markdown"),
    [
        ("[free](https://bad.test)", r"\[free\](https://bad.test)"),
        ("<https://bad.test>", "&lt;https://bad.test&gt;"),
        ("<a href=x>y</a>", "&lt;a href=x&gt;y&lt;/a&gt;"),
        ("*a* _b_ `c` ~d~ $e$ |f|", r"\*a\* \_b\_ \`c\` \~d\~ \$e\$ \|f\|"),
        (":red-badge[x] :material/lock:", r"\:red-badge\[x\] \:material/lock:"),
        ("two\n\n# lines", "two # lines"),
        ("ada@example.org, www.example.org", "ada@example.org, www.example.org"),
    ],
)
def test_what_a_person_typed_has_no_markup_and_its_addresses_can_be_copied(typed: str, markdown: str) -> None:
    assert words.literal(typed) == markdown


def test_unknown_never_looks_good() -> None:
    assert words.band(None) == "? Unknown"
    assert words.band("something new") == "? Unknown"
    assert words.stage("something_new") == "? Something new"


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("DNS Configuration", places.DNS),
        ("DNS Management Portal", places.RECORDS),
        ("warmup", places.WARMUP),
        ("payment-gateway", places.PAYMENT),
        (None, places.FLEET),
    ],
)
def test_attention_leads_to_the_page_where_it_is_done(page: str | None, file: str) -> None:
    assert places.place_of(page) == file
