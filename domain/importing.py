"""Import of IPs already owned: every line is checked before any is taken."""

from __future__ import annotations

import csv
import io
import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from domain import names
from domain.addresses import parse
from domain.lifecycle import check_importable
from domain.refusals import Refused
from domain.words import DEFAULT_POOL, IpType, Stage

MOST_LINES = 10_000
#: Columns that hold the name of a domain or host; each may be empty.
NAMES = ("domain", "hostname", "mx")


class OwnedIp(BaseModel, extra="forbid"):
    """One IP to import; ``stage`` is where its journey starts."""

    address: str
    type: IpType = IpType.DEDICATED
    stage: Stage = Stage.AWAITING_DNS
    pool: str = Field(DEFAULT_POOL, min_length=1, max_length=60)
    sender: str | None = Field(None, max_length=120)
    domain: str = Field("", max_length=253)
    hostname: str = Field("", max_length=253)
    mx: str | None = Field(None, max_length=253)
    bind_address: str | None = Field(None, max_length=60)
    region: str = Field("", max_length=60)
    safe_limit: int | None = Field(None, gt=0, le=100_000_000, description="None: the installation's, by type.")


@dataclass(frozen=True)
class Line:
    """An IP and where it stood in the input, as ``line 3`` or ``item 2``."""

    where: str
    row: OwnedIp


def parse_csv(raw: bytes, *, live: bool) -> list[Line]:
    """IPs of a CSV with a header; empty cells take the default.

    Raises:
        Refused: names the line (the header is line 1), the column and the fix.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"This is no CSV in UTF-8: {error}.", field="body", code="csv") from None
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        reader.fieldnames = _columns(reader.fieldnames or [])
        rows = [(f"line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        where = f"line {reader.reader.line_num}"
        raise Refused(
            f"{where}: this is no CSV ({error}); look for a quotation mark that is not closed, here or before.",
            field=where,
            code="csv",
        ) from None
    for where, row in rows:
        if None in row or None in row.values():
            raise Refused(f"{where}: it has not as many cells as the header.", field=where, code="csv")
    return _lines(((where, {k: v for k, v in row.items() if v}) for where, row in rows), live=live)


def parse_json(raw: bytes, *, live: bool) -> list[Line]:
    """IPs of a JSON list of objects.

    Raises:
        Refused: names the item (the first is item 1), the field and the fix.
    """
    try:
        items = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused("The body is no JSON; send a list of IPs, or text/csv.", field="body", code="json") from None
    if not isinstance(items, list):
        raise Refused("Send a JSON list of IPs.", field="body", code="json")
    return _lines(((f"item {number}", item) for number, item in enumerate(items, start=1)), live=live)


def _columns(header: Sequence[str]) -> list[str]:
    """The columns of a CSV; a misspelt one would import its IPs with defaults."""
    columns = [name.strip() for name in header]
    if len(columns) == 1 and (mark := next((one for one in ";\t|" if one in columns[0]), None)):
        raise Refused(
            f"line 1: its columns are kept apart by {mark!r}; export it again with commas.", field="line 1", code="csv"
        )
    known = ", ".join(OwnedIp.model_fields)
    for name in columns:
        if name not in OwnedIp.model_fields:
            raise Refused(
                f"line 1: there is no column {name[:40]!r}; correct its spelling, the columns are {known}.",
                field="line 1",
                code="column",
            )
        if columns.count(name) > 1:
            raise Refused(f"line 1: the column {name!r} stands there twice.", field="line 1", code="column")
    if columns and "address" not in columns:
        raise Refused("line 1: the column 'address' is missing; name it in the header.", field="line 1", code="column")
    return columns


def _lines(items: Iterable[tuple[str, Any]], *, live: bool) -> list[Line]:
    lines: list[Line] = []
    seen: dict[str, str] = {}
    for where, item in items:
        line = _line(where, item, live=live)
        first = seen.setdefault(line.row.address, where)
        if first != where:
            raise Refused(
                f"{where}: {line.row.address} stands on {first} already.",
                field=f"{where}.address",
                code="duplicate",
            )
        lines.append(line)
    if not lines or len(lines) > MOST_LINES:
        raise Refused(f"Send 1 to {MOST_LINES} IPs.", field="body", code="count")
    return lines


def _line(where: str, item: Any, *, live: bool) -> Line:  # noqa: ANN401
    try:
        if not isinstance(item, dict):
            raise Refused("it is no object.", field="", code="json")
        address = parse(str(item.get("address", "")), live=live)
        stage = check_importable(str(item.get("stage", Stage.AWAITING_DNS)))
        row = OwnedIp.model_validate({**item, "address": address, "stage": stage})
        for field in NAMES:
            text = (getattr(row, field) or "").strip()
            setattr(row, field, names.parse(text, field=field) if text else OwnedIp.model_fields[field].default)
        if row.bind_address is not None:
            row.bind_address = _bindable(row.bind_address)
        for field in ("domain", "hostname"):
            if row.stage is Stage.AWAITING_DNS and not getattr(row, field):
                raise Refused(f"a {field} is needed for DNS set-up.", field=field, code=f"no_{field}")
    except Refused as refusal:
        field = f"{where}.{refusal.field}" if refusal.field else where
        raise Refused(f"{where}: {refusal.detail}", field=field, code=refusal.code) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        said = first["msg"]
        if first["type"] == "extra_forbidden":
            said = f"there is no field of this name; the fields are {', '.join(OwnedIp.model_fields)}"
        raise Refused(f"{where}: {name[:40]}: {said}.", field=f"{where}.{name}", code="invalid") from None
    return Line(where, row)


def _bindable(text: str) -> str:
    """An address of the mail system's own machine: private and loopback space is as good as any."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise Refused(
            f"{text!r} is no IP address; give the one that the mail system binds to, or leave it out.",
            field="bind_address",
            code="not_an_address",
        ) from None
