"""Reply Explorer: which replies came, from whom, how often, since when, and what is made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from ui.client import Api, path_of
from ui.pieces import asking_replies, charts, dead_letters, paging, picking, places, reading, session, words
from ui.pieces.guard import guarded, live_slowly

PAGE_SIZE = 50
#: Rows in sight at once, and while one reply is open below them.
ROWS, FEW_ROWS = 10, 4
#: Pixels of each column: all of them are in sight on a small screen.
WIDTHS = {
    "What we make of it": 128, "Code": 82, "Reply": 264, "Provider": 84, "IPs": 110,
}  # fmt: skip
#: Width of a filter: its longest choice is in sight.
FILTER_PIXELS = 172
SPANS = {"Today": 1, "Last 7 days": 7, "Last 14 days": 14, "Last 30 days": 30}
ORDERS = {"often": "Most frequent", "newest": "Newest"}
EVENTS = {"true": "Count against an IP", "false": "Do not"}

Question = dict[str, str | int | None]


def main() -> None:
    """The replies that came, and beside them the box to ask about others."""
    api = session.api()
    # A link may name a part (``?part=Dead letters``).
    parts = ["Replies seen", dead_letters.PART, "What would you make of this?"]
    seen, dead, ask = st.tabs(parts, key="part", bind="query-params")
    with seen:
        _seen(api, _question())
    with dead, guarded():
        dead_letters.table(api)
    with ask:
        asking_replies.box(api)


def _question() -> Question:
    """What is looked for, from the filters on top."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        days = SPANS[str(st.selectbox("Days", list(SPANS), index=1, key="replies_days", width=FILTER_PIXELS))]
        chosen: Question = {
            "since": (datetime.now(UTC).date() - timedelta(days=days - 1)).isoformat(),
            "provider": st.selectbox(
                "Mailbox provider", charts.PROVIDERS, index=None, format_func=reading.provider, placeholder="All",
                key="replies_provider", width=FILTER_PIXELS,
            ),
            "class": st.selectbox(
                "What it means", list(reading.CLASSES), index=None, format_func=reading.named, placeholder="Anything",
                key="replies_class", width=FILTER_PIXELS,
            ),
            "ip_event": st.selectbox(
                "IP event", list(EVENTS), index=None, format_func=EVENTS.__getitem__, placeholder="Both",
                key="replies_event", help="Whether the reply blocks or slows the sending IP.", width=FILTER_PIXELS,
            ),
            "order": st.segmented_control(
                "Order", list(ORDERS), default="often", format_func=ORDERS.__getitem__, key="replies_order",
                required=True,
            ),
        }  # fmt: skip
    if "replies_ip" not in st.session_state:
        st.session_state["replies_ip"] = picking.linked_ip() or ""
    for column, (name, label, hint) in zip(
        st.columns(4),
        (("ip", "IP", "Only this IP"), ("sender", "Sender", "Only this sender"),
         ("campaign", "Campaign", "Only this campaign"), ("q", "Words", "Words of the reply")),
        strict=True,
    ):  # fmt: skip
        chosen[name] = (
            column.text_input(label, placeholder=hint, key=f"replies_{name}", label_visibility="collapsed").strip()
            or None
        )
    chosen["ip"] = picking.spelled(str(chosen["ip"])) if chosen["ip"] else None
    return chosen


@live_slowly
def _seen(api: Api, question: Question) -> None:
    pager = paging.Pager("replies", question)
    found = api.get("/v1/replies", **question, after=pager.cursor, limit=PAGE_SIZE)
    items: list[dict[str, Any]] = found.get("items") or []
    if items:
        _table(items, f"replies_table:{question}:{pager.page}:{st.session_state.get('replies_closed', 0)}")
    elif found.get("next"):
        st.info("None among the replies looked at so far; press Next to look further.")
    else:
        _empty(question)
    if items or found.get("next") or pager.page > 1:
        pager.buttons(
            found.get("next"),
            paging.everything(api, "/v1/replies", reading.exported, **question),
            "replies.csv",
        )
    if name := st.query_params.get("reply"):
        _one(api, name, question)


def _empty(question: Question) -> None:
    if any(value for name, value in question.items() if name not in ("since", "order")):
        st.info("No reply matches. Clear a filter, or look at more days.")
        return
    st.info(
        "No mail server refused or deferred a mail in these days, as far as was reported. Replies come with the events "
        "of your mail systems and with mail that came back; each is counted here by its words. Look at more days, or "
        "paste a reply under **What would you make of this?**"
    )
    places.link(places.PERFORMANCE)


def _table(items: list[dict[str, Any]], key: str) -> None:
    # What is open begins in sight.
    most = FEW_ROWS if st.query_params.get("reply") else ROWS
    picked = st.dataframe(
        pd.DataFrame([_row(one) for one in items]),
        hide_index=True,
        width="stretch",
        height=38 + 35 * min(len(items), most),
        key=key,
        on_select="rerun",
        selection_mode="single-cell",
        column_config={
            "Mails": st.column_config.NumberColumn(format="localized", width=60),
            **{name: st.column_config.TextColumn(width=width) for name, width in WIDTHS.items()},
            **paging.times("First seen", "Last seen"),
        },
    )
    cells = picked.get("selection", {}).get("cells", [])
    # The table refreshes under the mark: only a new mark opens another reply.
    mark = (key, cells[0][0]) if cells else None
    if mark != st.session_state.get("replies_mark"):
        st.session_state["replies_mark"] = mark
        if mark and mark[1] < len(items):
            was_open = "reply" in st.query_params
            st.query_params["reply"] = str(items[mark[1]]["id"])
            if not was_open:
                st.rerun()  # the table above it becomes shorter now, not in the middle of reading


def _row(one: dict[str, Any]) -> dict[str, Any]:
    read = one.get("reading") or {}
    code = reading.code(read)
    return {
        "Mails": one.get("count"),
        "What we make of it": reading.label(read),
        "Code": code,
        "Reply": str(one.get("template")).removeprefix(code).strip(),
        "Provider": _only(one.get("providers"), "providers", spoken=True),
        "IPs": _only(one.get("ips"), "IPs"),
        "First seen": words.second(one.get("first_seen")),
        "Last seen": words.second(one.get("last_seen")),
    }


def _parts(share: dict[str, Any] | None, *, spoken: bool = False) -> str:
    """The largest part, and how many others there are: ``198.51.100.7 and 3 more``."""
    parts, of = (share or {}).get("parts") or [], (share or {}).get("of") or 0
    if not parts:
        return "–"
    first = parts[0]["name"]
    name = reading.provider(first) if spoken else first or "not named"
    return f"{name} and {of - 1} more" if of > 1 else name


def _only(share: dict[str, Any] | None, nouns: str, *, spoken: bool = False) -> str:
    """The one there is, or how many there are: a column of a table is narrow."""
    of = (share or {}).get("of") or 0
    return f"{words.number(of)} {nouns}" if of > 1 else _parts(share, spoken=spoken)


def _one(api: Api, name: str, question: Question) -> None:
    """One reply: what is made of it, by day and by IP."""
    asked = {key: value for key, value in question.items() if key in ("since", "provider", "ip", "sender", "campaign")}
    found = api.find(path_of("/v1/replies/{reply}", reply=name), **asked)
    with st.container(border=True):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            if found is None:
                st.markdown("The reply that was open did not come in these days, or not with these filters.")
            else:
                st.markdown(f"## {reading.label(found['reading'])}")
            if st.button("Close", key="replies_close"):
                del st.query_params["reply"]
                # A new table has no mark: the same row can be opened again.
                st.session_state["replies_closed"] = st.session_state.get("replies_closed", 0) + 1
                st.rerun(scope="fragment")
        if found is None:
            return
        read = found["reading"]
        about = "" if read.get("object") == "unknown" else f" It is about {reading.about(read)}."
        st.markdown(reading.meaning(read) + about)
        st.code(str(found.get("example")), language=None, wrap_lines=True)
        _facts(found, read)
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown("**By day**")
            st.altair_chart(
                charts.by_day(found["by_day"], str(question["since"])), width="stretch", key="replies_by_day"
            )
        with right:
            st.markdown("**By IP**")
            rows = [_about(one) for one in found["by_ip"]]
            st.dataframe(
                pd.DataFrame(rows), hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 190),
                column_config=paging.times("First seen", "Last seen"),
            )  # fmt: skip
            paging.export(rows, "reply-by-ip.csv")


def _facts(found: dict[str, Any], read: dict[str, Any]) -> None:
    facts = {
        "Mails": words.number(found.get("count")),
        "Code": reading.code(read),
        "Try again": words.sentence(reading.retry_told(read)),
        "Counts against the IP": reading.ip_event(read),
        "Who speaks": reading.provider(read.get("provider")),
        "Rule": f"{reading.rule(read)}, {words.percent(read.get('confidence'), 1)} sure",
        "Senders": _parts(found.get("senders")),
        "Campaigns": _parts(found.get("campaigns")),
        "First seen": f"{words.ago(found.get('first_seen'))}, {words.exact(found.get('first_seen'))}",
        "Last seen": f"{words.ago(found.get('last_seen'))}, {words.exact(found.get('last_seen'))}",
    }
    told = list(facts.items())
    for column, part in zip(st.columns(2, gap="large"), (told[:5], told[5:]), strict=True):
        column.markdown("  \n".join(f":gray[{name}:] {words.literal(value)}" for name, value in part))


def _about(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "IP": one.get("address") or "not named",
        "Mails": one.get("count"),
        "First seen": words.second(one.get("first_seen")),
        "Last seen": words.second(one.get("last_seen")),
    }


with guarded():
    main()
