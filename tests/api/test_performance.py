"""What became of the mail: taken apart one way, filtered by others, each figure counted once."""

from __future__ import annotations

import datetime as dt

import httpx
import pytest

from domain.figures import Figures
from domain.performance import POINTS, rates, step_ms
from store import ledger
from store.database import Database
from store.tables.events import Figure

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SLICE_MS = 900_000


async def filled(db: Database) -> None:
    """Two IPs, two providers, one campaign, three hours; and one slice that lies before them."""
    noon = round(NOON.timestamp() * 1000)
    async with db.write() as session:
        for hour in range(3):
            for address, provider, campaign, sent in (
                ("198.51.100.1", "gmail", "spring", 100),
                ("198.51.100.1", "yahoo", "", 40),
                ("198.51.100.2", "gmail", "spring", 10),
            ):
                session.add(
                    Figure(
                        address=address, slice_ms=noon + hour * 4 * SLICE_MS, provider=provider, sender="acme",
                        campaign=campaign, attempted=sent, delivered=sent - 8, bounced=2, blocked=1, deferred=5,
                        complained=1,
                    )
                )  # fmt: skip
        session.add(
            Figure(address="198.51.100.9", slice_ms=noon - 86_400_000, provider="gmail", attempted=999, delivered=999)
        )


async def asked(api: httpx.AsyncClient, **question: str) -> dict[str, object]:
    """The figures of those three hours."""
    span = {"since": NOON.isoformat(), "until": (NOON + dt.timedelta(hours=3)).isoformat()}
    answer = await api.get("/v1/metrics", params=span | question)
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("ip", [("198.51.100.1", 420), ("198.51.100.2", 30)]),
        ("provider", [("gmail", 330), ("yahoo", 120)]),
        ("sender", [("acme", 450)]),
        ("campaign", [("spring", 330), ("", 120)]),
    ],
)
async def test_figures_by_each_word_add_up_to_the_whole(
    api: httpx.AsyncClient, db: Database, by: str, expected: list[tuple[str, int]]
) -> None:
    await filled(db)
    found = await asked(api, by=by)
    assert [(one["name"], one["attempted"]) for one in found["items"]] == expected  # type: ignore[attr-defined]
    assert found["total"]["attempted"] == 450  # type: ignore[index]


@pytest.mark.parametrize("by", ["ip", "provider", "sender", "campaign"])
async def test_sources_that_tell_of_attempts_and_those_that_do_not_add_up(
    api: httpx.AsyncClient, db: Database, by: str
) -> None:
    noon = round(NOON.timestamp() * 1000)
    async with db.write() as session:
        for provider in ("gmail", "yahoo"):  # taken within one step, delivered within the next
            session.add(Figure(address="198.51.100.1", slice_ms=noon, provider=provider, sender="a", attempted=50))
            late = noon + 4 * SLICE_MS
            session.add(Figure(address="198.51.100.1", slice_ms=late, provider=provider, sender="a", delivered=25))
        session.add(Figure(address="198.51.100.2", slice_ms=noon, provider="gmail", sender="b", delivered=40))
    found = await asked(api, by=by)
    assert found["total"]["attempted"] == 140  # type: ignore[index]
    assert sum(one["attempted"] for one in found["items"]) == 140  # type: ignore[attr-defined]
    assert [point["attempted"] for point in found["points"]] == [140, 0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("by", ["ip", "provider", "sender", "campaign"])
async def test_who_was_deferred_was_tried_so_no_rate_is_past_the_whole(
    api: httpx.AsyncClient, db: Database, by: str
) -> None:
    noon = round(NOON.timestamp() * 1000)
    async with db.write() as session:
        # One source tells of deferrals alone, another of attempts that came before what became of them.
        session.add(Figure(address="198.51.100.1", slice_ms=noon, provider="gmail", sender="a", deferred=5))
        session.add(Figure(address="198.51.100.2", slice_ms=noon, provider="yahoo", sender="b", attempted=9))
        session.add(
            Figure(
                address="198.51.100.2",
                slice_ms=noon,
                provider="apple",
                sender="c",
                campaign="spring",
                attempted=1,
                delivered=6,
                deferred=4,
            )  # fmt: skip
        )
    found = await asked(api, by=by)
    assert found["total"]["attempted"] == 15  # type: ignore[index]
    assert sum(one["attempted"] for one in found["items"]) == 15  # type: ignore[attr-defined]
    assert found["total"]["rates"]["deferral"] == pytest.approx(9 / 15)  # type: ignore[index]
    for one in found["items"]:  # type: ignore[attr-defined]
        assert all(rate <= 1 for rate in one["rates"].values() if rate is not None), one


async def test_filters_hold_together_and_the_course_is_in_steps(api: httpx.AsyncClient, db: Database) -> None:
    await filled(db)
    found = await asked(api, by="provider", ip="198.51.100.1", campaign="spring")
    assert [(one["name"], one["attempted"]) for one in found["items"]] == [("gmail", 300)]  # type: ignore[attr-defined]
    points = [(point["at"], point["attempted"]) for point in found["points"]]  # type: ignore[attr-defined]
    assert points == [(f"2026-03-01T{hour}:00:00Z", 100) for hour in (12, 13, 14)]
    assert found["total"]["rates"]["bounce"] == pytest.approx(6 / (276 + 6))  # type: ignore[index]


async def test_the_course_is_by_the_hour_or_the_day_when_asked(api: httpx.AsyncClient, db: Database) -> None:
    await filled(db)
    week = {"since": (NOON - dt.timedelta(days=6)).isoformat(), "ip": "198.51.100.2"}
    by_hour = await asked(api, step="hour", **week)
    assert [(one["at"], one["attempted"]) for one in by_hour["points"]] == [  # type: ignore[attr-defined]
        (f"2026-03-01T{hour}:00:00Z", 10) for hour in (12, 13, 14)
    ]
    by_day = await asked(api, step="day", **week)
    assert [(one["at"], one["attempted"]) for one in by_day["points"]] == [  # type: ignore[attr-defined]
        ("2026-03-01T00:00:00Z", 30)
    ]


async def test_a_span_that_makes_no_sense_is_refused_by_its_field(api: httpx.AsyncClient, db: Database) -> None:
    for since, until in (("2026-03-02", "2026-03-01"), ("2020-01-01", "2026-01-01")):
        answer = await api.get("/v1/metrics", params={"since": f"{since}T00:00:00Z", "until": f"{until}T00:00:00Z"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "since"
    assert (await api.get("/v1/metrics", params={"until": "0001-01-01T00:00:00Z"})).status_code == 422


def test_without_mail_there_is_no_rate() -> None:
    assert set(rates(Figures()).model_dump().values()) == {None}


@pytest.mark.parametrize("hours", [1, 24, 24 * 90])
def test_a_line_has_whole_slices_and_few_points(hours: int) -> None:
    step = step_ms(0, hours * 3_600_000, SLICE_MS)
    assert step % SLICE_MS == 0
    assert hours * 3_600_000 / step <= POINTS


async def test_a_day_that_has_not_begun_is_not_among_the_caps(api: httpx.AsyncClient, db: Database) -> None:
    moment = round(dt.datetime.now(dt.UTC).timestamp() * 1000)
    async with db.write() as session:
        await ledger.set_window(session, "198.51.100.1", moment - 60_000, moment + 60_000, 90, {}, 0)
        await ledger.set_window(session, "198.51.100.1", moment + 60_000, moment + 180_000, 70, {}, 0)
    (found,) = (await api.get("/v1/metrics/caps", params={"ip": "198.51.100.1"})).json()["items"]
    assert [one["cap"] for one in found["windows"]] == [90]
