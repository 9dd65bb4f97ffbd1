"""Pictures: cap against sent, forecast with its range, mailbox providers, score with its parts, figures by time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import altair as alt
import pandas as pd

from ui.client import JsonValue
from ui.pieces import words

#: What Altair makes of layers, by its own annotations.
Picture = alt.LayerChart | alt.FacetChart

PROVIDERS = ("gmail", "microsoft", "yahoo", "apple", "other")

_DECISION_COLOURS = {
    "Grow": "#2e9d5b",
    "Hold": "#d9a406",
    "Step back": "#d1453b",
    "Stop": "#d1453b",
    "Pause": "#d1453b",
}
_BLUE, _GREY, _GREEN, _RED = "#4c8fd6", "#8a94a3", "#2e9d5b", "#d1453b"
#: What was sent, and the cap above it, in every chart that shows both.
_AGAINST = {"Sent": _BLUE, "Cap": _GREY}
_SPENT = ("granted", "attempted", "sent")


def _told(layer: alt.Chart, what: str, colours: dict[str, str]) -> alt.Chart:
    """A layer in the colour of what it shows, with its word in a legend that all layers share."""
    shown: alt.Chart = layer.transform_calculate(What=f"'{what}'").encode(
        color=alt.Color(
            "What:N",
            scale=alt.Scale(domain=list(colours), range=list(colours.values())),
            legend=alt.Legend(orient="top", title=None, symbolType="square"),
        )
    )
    return shown


def _sent(day: dict[str, Any]) -> int:
    return max(int(day.get(name) or 0) for name in _SPENT)


def cap_against_sent(history: list[dict[str, Any]]) -> Picture:
    """Bars of what was sent, a stepped line of the cap, a mark per day's decision (hover: its reason)."""
    frame = pd.DataFrame(
        [
            {
                "Day": str(day.get("date", number)),
                "Cap": int(day.get("cap") or 0),
                "Sent": _sent(day),
                "Delivered": int(day.get("delivered") or 0),
                "Bounced": int(day.get("bounced") or 0),
                "Decision": words.decision(day.get("decision")),
                "Reason": str(day.get("reason") or ""),
            }
            for number, day in enumerate(history, start=1)
        ]
    )
    tips = ["Day", "Cap", "Sent", "Decision", "Reason"]
    if any("delivered" in day for day in history):
        tips[3:3] = ["Delivered", "Bounced"]
    titles = {10: "Day (UTC)", 8: "Begin of the day (UTC)"}  # a date, or a time where days are short
    title = None if str(frame["Day"].iloc[0]).startswith("Day") else titles.get(len(str(frame["Day"].iloc[0])))
    axis = alt.X("Day:O", title=title, sort=None, axis=alt.Axis(labelOverlap=True, labelAngle=0))
    base = alt.Chart(frame).encode(x=axis, tooltip=tips)
    known = sorted(set(frame["Decision"]) - {"–"})
    sent = _told(base.mark_bar(opacity=0.55).encode(y=alt.Y("Sent:Q", title="Mails a day")), "Sent", _AGAINST)
    cap = _told(base.mark_line(interpolate="step", strokeWidth=2).encode(y="Cap:Q"), "Cap", _AGAINST)
    decided = base.transform_filter(alt.datum.Decision != "–")
    marks = decided.mark_point(filled=True, size=90).encode(
        y="Cap:Q",
        color=alt.Color(
            "Decision:N",
            scale=alt.Scale(domain=known, range=[_DECISION_COLOURS.get(name, "#8a94a3") for name in known]),
            legend=alt.Legend(orient="top", title="Decision"),
        ),
        # The same words in the same order: each stands in the legend once, with its form and its colour.
        shape=alt.Shape("Decision:N", scale=alt.Scale(domain=known), legend=alt.Legend(orient="top", title="Decision")),
    )
    against = alt.layer(sent, cap)
    layers = alt.layer(against, marks).resolve_scale(color="independent", shape="independent") if known else against
    return layers.properties(height=280, description="Mails sent each day as bars, the daily cap as a line.")


def days_of(windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Windows of the ledger as days of the chart above; days shorter than a real one are named by their time."""
    days = []
    for window in windows:
        begin, end = words.moment(window.get("starts_at")), words.moment(window.get("ends_at"))
        if begin is None or end is None:
            continue
        short = (end - begin).total_seconds() < 20 * 3_600
        days.append(window | {"date": f"{begin:%H:%M:%S}" if short else f"{begin:%Y-%m-%d}"})
    return days


#: The plan, and when its end is reached: from the best to the worst of nine in ten runs, and in the middle of them.
_PLANNED = {"Planned cap": _BLUE, "Full capacity: range": "#8fcfa8", "most likely": _GREEN}


def forecast(days: list[dict[str, Any]], finish: dict[str, Any], *, dated: bool) -> Picture:
    """The planned cap per day, and the range of finish days as a band with the median marked.

    Args:
        dated: a day is one of the calendar, so its date is told on hover.
    """
    frame = pd.DataFrame(
        [
            {
                "Day": int(day.get("day") or number),
                "Cap": int(day.get("cap") or 0),
                "Date": str(day.get("date", "")),
            }
            for number, day in enumerate(days, start=1)
        ]
    )
    base = alt.Chart(frame).encode(x=alt.X("Day:Q", title="Day of the warm-up"))
    area = base.mark_area(opacity=0.25, color=_BLUE, interpolate="step").encode(y="Cap:Q")
    line = base.mark_line(interpolate="step", strokeWidth=2).encode(
        y=alt.Y("Cap:Q", title="Mails a day"),
        tooltip=["Day", *(["Date"] if dated else []), alt.Tooltip("Cap:Q", format=",")],
    )
    layers: list[Any] = [area, _told(line, "Planned cap", _PLANNED)]
    ends = {name: day_number(finish.get(name), days) for name in ("p10", "p50", "p90")}
    if ends["p10"] and ends["p90"]:
        span = pd.DataFrame([{"from": ends["p10"], "to": ends["p90"]}])
        band = alt.Chart(span).mark_rect(opacity=0.25).encode(x="from:Q", x2="to:Q")
        layers.insert(0, _told(band, "Full capacity: range", _PLANNED))
    if ends["p50"]:
        mark = alt.Chart(pd.DataFrame([{"Day": ends["p50"]}])).mark_rule(strokeDash=[5, 3], strokeWidth=2)
        layers.append(_told(mark.encode(x="Day:Q"), "most likely", _PLANNED))
    return alt.layer(*layers).properties(
        height=260, description="The planned cap of each day, and the days on which full capacity may be reached."
    )


def day_number(value: JsonValue, days: list[dict[str, Any]]) -> int | None:
    """The API names a finish by day number or by date; the chart needs the number."""
    if isinstance(value, dict):
        value = value.get("day") or value.get("date")
    if isinstance(value, (int, float)):
        return int(value)
    moment = words.moment(value)
    first = words.moment(days[0].get("date")) if days else None
    if moment is None or first is None:
        return None
    return (moment - first).days + 1


def by_provider(caps: dict[str, Any], sent: dict[str, Any] | None = None) -> Picture:
    """What was sent today beside today's cap, for each mailbox provider."""
    rows = []
    for name in PROVIDERS:
        if name not in caps:
            continue
        value = caps[name]
        if isinstance(value, dict):
            cap, used = int(value.get("cap") or 0), int(value.get("granted") or value.get("sent") or 0)
        else:
            cap, used = int(value or 0), int((sent or {}).get(name) or 0)
        rows.append({"Provider": words.spoken(name), "What": "Cap", "Mails": cap})
        rows.append({"Provider": words.spoken(name), "What": "Sent", "Mails": used})
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=alt.X("Provider:N", title=None, sort=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("What:N", sort=list(_AGAINST)),
            y=alt.Y("Mails:Q", title="Mails today", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color(
                "What:N",
                scale=alt.Scale(domain=list(_AGAINST), range=list(_AGAINST.values())),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["Provider", "What", alt.Tooltip("Mails:Q", format=",")],
        )
    )
    return alt.layer(chart).properties(height=190, description="Mails sent today beside the cap, by mailbox provider.")


#: Below the scores, where no line runs: listings and incidents stand there.
_BELOW = -25
#: What is said at the lines that are acted on, as Vega reads it.
_THRESHOLDS = "datum.value == 80 ? 'healthy above 80' : datum.value == 60 ? 'act below 60' : datum.label"


def score_over_time(
    trend: list[dict[str, Any]], listed: list[dict[str, Any]], incidents: list[dict[str, Any]]
) -> Picture:
    """The score with the lines below which it is watched and acted on; listings and incidents as marks.

    Args:
        trend: ``{at, score}``.
        listed: listings, present and past: ``{zone, first_seen, cleared_at}``.
        incidents: ``{title, opened_at, closed_at}``.
    """
    points = [(words.moment(point.get("at")), point.get("score")) for point in trend]
    frame = pd.DataFrame(
        [
            {"At": at, "When": words.exact(at.isoformat()), "Score": score}
            for at, score in points
            if at is not None and score is not None
        ]
    )
    known = [at for at, _ in points if at is not None]
    # What lasts is drawn until now, so the axis reaches until now.
    x = _time([*trend, {"at": datetime.now(UTC).isoformat()}] if listed or incidents else trend)
    score = (
        alt.Chart(frame)
        .mark_line(point=alt.OverlayMarkDef(size=50), color="#4c8fd6")
        .encode(
            x=x,
            y=_scores(),
            tooltip=["When", "Score"],
        )
    )
    layers: list[Any] = [_line_at(80, _GREEN), _line_at(60, _RED), score]
    marks = _marks(listed, incidents, min(known, default=None))
    if marks:
        layers += _mark_layers(pd.DataFrame(marks), x)
    picture: alt.LayerChart = alt.layer(*layers).resolve_scale(color="independent", shape="independent")
    return picture.properties(height=240, description="The score over time, with listings and incidents.")


def _line_at(height: int, colour: str) -> alt.Chart:
    """A line that is acted on; its words stand beside the axis."""
    line: alt.Chart = alt.Chart(pd.DataFrame([{"Score": height}])).mark_rule(strokeDash=[4, 4], color=colour)
    return line.encode(y=_scores())


def _scores() -> alt.Y:
    """The axis of the scores, the same in every layer: Vega takes its words from any of them."""
    return alt.Y(
        "Score:Q",
        title="Score",
        scale=alt.Scale(domain=[_BELOW, 100]),
        # Words beside the axis, where no line runs over them; a legend of all would not fit half a page.
        axis=alt.Axis(values=[0, 20, 40, 60, 80, 100], labelExpr=_THRESHOLDS, labelOverlap=False),
    )


def _marks(
    listed: list[dict[str, Any]], incidents: list[dict[str, Any]], since: datetime | None
) -> list[dict[str, Any]]:
    """Listings and incidents as marks; one that began before the chart stands at its left edge."""
    marks = []
    for one in listed:
        marks.append(
            ("Listing", f"listed on {one.get('zone')}", one.get("first_seen"), one.get("cleared_at"), _BELOW * 0.4)
        )
    for one in incidents:
        marks.append(("Incident", str(one.get("title")), one.get("opened_at"), one.get("closed_at"), _BELOW * 0.8))
    now = datetime.now(UTC)
    return [
        {
            "At": max(begin, since or begin),
            "Until": words.moment(until) or now,
            "What": what,
            "Says": said,
            "From": words.exact(at),
            "To": words.exact(until) if until else "lasts",
            "Score": height,
        }
        for what, said, at, until, height in marks
        if (begin := words.moment(at)) is not None and (words.moment(until) or now) >= (since or begin)
    ]


def _mark_layers(frame: pd.DataFrame, x: alt.X) -> list[Any]:
    tips = ["What", "Says", "From", "To"]
    names, colours = ["Listing", "Incident"], ["#d1453b", "#b06000"]
    scale = alt.Scale(domain=names, range=colours)
    base = alt.Chart(frame).encode(x=x, y=_scores(), tooltip=tips)
    return [
        base.mark_rule(strokeWidth=4, opacity=0.6).encode(
            x2="Until:T", color=alt.Color("What:N", scale=scale, legend=None)
        ),
        base.mark_point(filled=True, size=110, opacity=1).encode(
            color=alt.Color("What:N", scale=scale, legend=alt.Legend(orient="top", title=None)),
            shape=alt.Shape("What:N", scale=alt.Scale(domain=names, range=["diamond", "triangle-up"]), legend=None),
        ),
    ]


def components(parts: list[dict[str, Any]]) -> Picture:
    """The parts of a score as bars, each with its weight, sample and age on hover."""
    rows = []
    for part in parts:
        known = part.get("value") is not None
        rows.append(
            {
                "Component": words.spoken(part.get("name")),
                "Value": float(part["value"]) if known else 0.0,
                "Says": f"{float(part['value']):.0f}" if known else "unknown",
                "Weight": part.get("weight"),
                "Sample": words.number(part.get("sample")),
                "Age": words.age(part.get("age")),
            }
        )
    frame = pd.DataFrame(rows)
    base = alt.Chart(frame).encode(
        y=alt.Y("Component:N", title=None, sort=None, axis=alt.Axis(labelLimit=240, labelOverlap=False)),
        x=alt.X("Value:Q", title="Value, 0 to 100", scale=alt.Scale(domain=[0, 100])),
        tooltip=["Component", "Says", "Weight", "Sample", "Age"],
    )
    bars = base.mark_bar(color="#4c8fd6", height=14)
    text = base.mark_text(align="left", dx=4, color="#8a94a3").encode(text="Says:N")
    return alt.layer(bars, text).properties(height=alt.Step(24), description="The parts of the score, 0 to 100 each.")


#: What can go wrong with mail, with a colour each.
_WRONG = {"bounced": "#d1453b", "blocked": "#a04fb0", "deferred": "#d9a406", "complained": "#b06000"}


def _time(points: list[dict[str, Any]]) -> alt.X:
    """A time axis in UTC; days are named where the points span more than one."""
    known = sorted(at for at in (words.moment(one.get("at")) for one in points) if at is not None)
    span = (known[-1] - known[0]).total_seconds() if known else 0.0
    form = "%m-%d %H:%M" if span > 86_400 else "%H:%M" if span > 1_200 else "%H:%M:%S"
    return alt.X(
        "At:T",
        title="UTC",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format=form, tickCount=5, labelOverlap=True, labelSeparation=8),
    )


def _point(one: dict[str, Any], what: str, name: str) -> dict[str, Any]:
    moment = one.get("at")
    return {"At": words.moment(moment), "When": words.exact(moment), "What": what, "Mails": int(one.get(name) or 0)}


def volume(points: list[dict[str, Any]]) -> Picture:
    """Attempted mails a step, delivered ones in front of them."""
    rows = [
        _point(one, what, name)
        for one in points
        for what, name in (("Attempted", "attempted"), ("Delivered", "delivered"))
    ]
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=_time(points),
            y=alt.Y("Mails:Q", title="Mails"),
            color=alt.Color(
                "What:N",
                scale=alt.Scale(domain=["Attempted", "Delivered"], range=["#8a94a3", "#4c8fd6"]),
                legend=alt.Legend(orient="top", title=None),
            ),
            tooltip=["When", "What", alt.Tooltip("Mails:Q", format=",")],
        )
    )
    return alt.layer(chart).properties(height=220, description="Mails attempted and delivered over time.")


def wrong(points: list[dict[str, Any]]) -> Picture:
    """Bounced, blocked, deferred and complained mails a step, one on the other."""
    rows = [_point(one, words.spoken(name), name) for one in points for name in _WRONG]
    chart: alt.Chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_area(interpolate="step-after", opacity=0.8)
        .encode(
            x=_time(points),
            y=alt.Y("Mails:Q", title="Mails", stack="zero"),
            color=alt.Color(
                "What:N",
                scale=alt.Scale(domain=[words.spoken(name) for name in _WRONG], range=list(_WRONG.values())),
                legend=alt.Legend(orient="top", title=None, columns=2),
            ),
            tooltip=["When", "What", alt.Tooltip("Mails:Q", format=",")],
        )
    )
    return alt.layer(chart).properties(
        height=220, description="Mails bounced, blocked, deferred and complained about over time."
    )


def caps(today: list[dict[str, Any]]) -> Picture:
    """One bar an IP: what was granted, with its cap as a mark."""
    frame = pd.DataFrame(
        [{"IP": str(one["address"]), "Cap": int(one["cap"]), "Sent": int(one["granted"])} for one in today]
    )
    base = alt.Chart(frame).encode(
        y=alt.Y("IP:N", title=None, sort=None, axis=alt.Axis(labelLimit=240)), tooltip=["IP", "Cap", "Sent"]
    )
    bars = _told(base.mark_bar(height=14).encode(x=alt.X("Sent:Q", title="Mails a day")), "Sent", _AGAINST)
    marks = _told(base.mark_tick(thickness=3, size=20).encode(x="Cap:Q"), "Cap", _AGAINST)
    return alt.layer(bars, marks).properties(height=alt.Step(26), description="Mails sent beside the cap, by IP.")


def by_day(days: list[dict[str, Any]], since: str) -> Picture:
    """A bar a day (UTC) of how often something came, from a day on until today; days without any stay empty."""
    came = {str(one["date"]): int(one["count"]) for one in days}
    frame = pd.DataFrame(
        [
            {"Day": f"{day:%Y-%m-%d}", "Mails": came.get(f"{day:%Y-%m-%d}", 0)}
            for day in pd.date_range(since, max(datetime.now(UTC).strftime("%Y-%m-%d"), *came))
        ]
    )
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_bar(color="#4c8fd6")
        .encode(
            x=alt.X(
                "Day:O",
                title=None,
                axis=alt.Axis(labelExpr="slice(datum.label, 5)", labelOverlap=True, labelAngle=0),
            ),
            y=alt.Y("Mails:Q", title="Mails", axis=alt.Axis(tickMinStep=1)),
            tooltip=["Day", alt.Tooltip("Mails:Q", format=",")],
        )
    )
    return alt.layer(chart).properties(height=190, description="How often the reply came, by day.")
