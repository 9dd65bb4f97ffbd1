"""Replies of mail servers: which came, from whom, how often, since when, and what the rules make of them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from api.deps import After, Store, Viewer
from domain import replies as reading
from domain.performance import By
from domain.refusals import NotFound, Refused
from domain.replies import Class, Reply
from domain.words import MailboxProvider
from store import replies as repository
from store.paging import no_cursor
from store.replies import Order, Place, Seen

router = APIRouter(prefix="/v1/replies", tags=["replies"])

#: IPs shown of one reply.
IPS_SHOWN = 100
#: Parts shown of each share, and replies read at a time while looking for a class.
SHOWN, READ = 5, 500
#: The longest page of replies of a class looks at so many of all; the cursor goes on from there.
LOOKED_AT = 5_000
_CURSOR = re.compile(r"(\d{1,18})-([0-9a-f]{32})", re.ASCII)


class PartOut(BaseModel):
    """One of those a reply came from, or is about; the name is empty where the event named none."""

    name: str
    count: int


class ShareOut(BaseModel):
    """The largest parts, and how many there are in all."""

    of: int
    parts: list[PartOut]


class SeenOut(BaseModel):
    """A reply with what the rules in force make of it.

    `count` is of mails, not of tries: a mail that is deferred again and again counts once.
    """

    id: str
    template: str = Field(description="Its words; numbers and ids are `#`, addresses `<ip>` and `<addr>`.")
    example: str = Field(description="One of them, mail addresses taken out.")
    count: int
    first_seen: dt.datetime
    last_seen: dt.datetime
    ips: ShareOut
    providers: ShareOut
    senders: ShareOut
    campaigns: ShareOut
    reading: Reply


class SeenPage(BaseModel):
    """Replies, and the cursor of the next page."""

    items: list[SeenOut]
    next: str | None = None


class AboutOut(BaseModel):
    """How often a reply was about one IP; the address is empty where the event named none."""

    address: str
    count: int
    first_seen: dt.datetime
    last_seen: dt.datetime


class DayOut(BaseModel):
    """How often a reply came on a day, UTC."""

    date: dt.date
    count: int


class SeenDetail(SeenOut):
    """A reply by IP (the most frequent first, at most 100) and by day (oldest first, days without one are absent)."""

    by_ip: list[AboutOut]
    by_day: list[DayOut]


#: Most replies that one question holds, and characters of each.
MOST_ASKED, LONGEST_ASKED = 200, 10_000


class ClassifyIn(BaseModel, extra="forbid"):
    """Replies as a log, a webhook or a report gives them; each may have several lines."""

    replies: list[Annotated[str, Field(max_length=LONGEST_ASKED)]] = Field(min_length=1, max_length=MOST_ASKED)
    provider: str = Field("", max_length=60, description="Whose replies they are, where they do not tell themselves.")


class ReadOut(BaseModel):
    """A reply, the template that it groups under, and what the rules in force make of it."""

    text: str
    template: str
    reading: Reply


class ClassifyOut(BaseModel):
    """An answer for each reply, in the order given."""

    items: list[ReadOut]


async def _asked(
    since: Annotated[dt.date | None, Query(description="First day, UTC. Default: six days before `until`.")] = None,
    until: Annotated[dt.date | None, Query(description="Last day, UTC. Default: today.")] = None,
    ip: Annotated[str | None, Query(max_length=60)] = None,
    provider: Annotated[MailboxProvider | None, Query(description="Where the recipients live.")] = None,
    sender: Annotated[str | None, Query(max_length=100)] = None,
    campaign: Annotated[str | None, Query(max_length=100)] = None,
) -> _Asked:
    from_day, to_day = _days(since, until)
    given = {By.IP: ip, By.PROVIDER: provider, By.SENDER: sender, By.CAMPAIGN: campaign}
    return _Asked(from_day, to_day, {by: str(one).replace("\0", "") for by, one in given.items() if one is not None})


class _Asked(NamedTuple):
    """Days since 1970, both included, and values that a column must have."""

    from_day: int
    to_day: int
    only: dict[By, str]


Asked = Annotated[_Asked, Depends(_asked)]


@router.get("")
async def overview(
    _: Viewer,
    db: Store,
    asked: Asked,
    class_: Annotated[Class | None, Query(alias="class", description="Only what is read as this.")] = None,
    ip_event: Annotated[
        bool | None, Query(description="Only what blocks or slows an IP; or only what does not.")
    ] = None,
    q: Annotated[str, Query(max_length=200, description="Characters that the reply holds.")] = "",
    order: Order = Order.OFTEN,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> SeenPage:
    """Replies of some days, grouped by their words; the most frequent or the newest first.

    A page asked for by `class` or `ip_event` can be short, even empty, and still have a next one.
    """
    place, looked, following = _place(after), 0, None
    chosen: list[SeenOut] = []
    narrow = class_ is not None or ip_event is not None
    step = READ if narrow else limit + 1
    async with db.snapshot() as session:
        while following is None:
            part = await repository.page(
                session, *asked, words=q.replace("\0", ""), order=order, after=place, limit=step
            )
            await repository.fill_shares(session, part, *asked, SHOWN)
            for one in part:
                if len(chosen) == limit:
                    following = _cursor(place)
                    break
                place, looked = _ended(one, order), looked + 1
                shown = _shown(one)
                read = shown.reading
                if class_ in (None, read.class_) and ip_event in (None, read.ip_event):
                    chosen.append(shown)
            if len(part) < step:
                break
            if following is None and looked >= LOOKED_AT:
                following = _cursor(place)
    return SeenPage(items=chosen, next=following)


@router.post("/classify")
async def classify(_: Viewer, body: ClassifyIn) -> ClassifyOut:
    """What would you make of these? Nothing is stored."""
    for number, text in enumerate(body.replies):
        if not text.strip():
            raise Refused("Paste a reply of a mail server.", field=f"replies.{number}", code="empty")
    told = reading.speaker(body.provider)
    return ClassifyOut(
        items=[
            ReadOut(text=text, template=reading.template(text), reading=reading.classify(text, told))
            for text in body.replies
        ]
    )


@router.get("/{reply}")
async def detail(
    _: Viewer, db: Store, asked: Asked, reply: Annotated[str, Path(max_length=80, description="Id of a list's item.")]
) -> SeenDetail:
    """One reply: by IP and by day."""
    reply = reply.replace("\0", "")
    async with db.snapshot() as session:
        found = await repository.page(session, *asked, reply=reply, limit=1)
        if not found:
            raise NotFound("No such reply came in these days; widen them, or clear the filters.", field="reply")
        await repository.fill_shares(session, found, *asked, SHOWN)
        ips = await repository.by_ip(session, reply, *asked, IPS_SHOWN)
        days = await repository.by_day(session, reply, *asked)
    return SeenDetail(
        **dict(_shown(found[0])),
        by_ip=[
            AboutOut(address=one.address, count=one.count, first_seen=_at(one.first_ms), last_seen=_at(one.last_ms))
            for one in ips
        ],
        by_day=[DayOut(date=dt.date.fromordinal(day + _EPOCH), count=count) for day, count in days],
    )


def _read(one: Seen) -> Reply:
    """By the rules in force; the provider that it mostly comes from helps."""
    share = one.shares.get(By.PROVIDER)
    return reading.classify(one.example, share.parts[0][0] if share and share.parts else None)


def _shown(one: Seen) -> SeenOut:
    def share(by: By) -> ShareOut:
        found = one.shares[by]
        return ShareOut(of=found.of, parts=[PartOut(name=name, count=count) for name, count in found.parts])

    return SeenOut(
        id=one.id,
        template=one.template,
        example=one.example,
        count=one.count,
        first_seen=_at(one.first_ms),
        last_seen=_at(one.last_ms),
        ips=share(By.IP),
        providers=share(By.PROVIDER),
        senders=share(By.SENDER),
        campaigns=share(By.CAMPAIGN),
        reading=_read(one),
    )


def _ended(one: Seen, order: Order) -> Place:
    return (one.count if order is Order.OFTEN else one.last_ms, one.id)


def _cursor(place: Place | None) -> str | None:
    return None if place is None else f"{place[0]}-{place[1]}"


def _place(after: str | None) -> Place | None:
    if after is None:
        return None
    found = _CURSOR.fullmatch(after)
    if found is None:
        raise no_cursor()
    return int(found[1]), found[2]


def _days(since: dt.date | None, until: dt.date | None) -> tuple[int, int]:
    end = until or dt.datetime.now(dt.UTC).date()
    last = end.toordinal() - _EPOCH
    first = since.toordinal() - _EPOCH if since else last - 6
    if first > last:
        raise Refused("`since` must not lie after `until`.", field="since", code="span")
    return first, last


_EPOCH = dt.date(1970, 1, 1).toordinal()


def _at(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
