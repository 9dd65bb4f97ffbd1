"""Whatever is typed into a box of the API, text or number: an answer below 500, and a refusal that names the field."""

from __future__ import annotations

import json
import smtplib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api import domains
from api.app import create
from api.routes import purchase
from domain.words import Role
from providers.ip_vendors.inventory import InventoryVendor
from settings import Settings
from store import accounts
from store.database import Database

#: What people paste, and what programs send.
TYPED = {
    "long": "x" * 10_000,
    "NUL": "a\x00b",
    "escape": "\x1b[31mred",
    "half a character": "a\ud800b",
    "emoji": "📮 post",
    "IDN": "münchen.example",
    "final dot": "mail.example.com.",
    "upper case": "MAIL.Example.COM",
    "lines": "one\r\ntwo",
    "quotes": "'; DROP TABLE ip; --\"",
    "spaces": "   ",
    "empty": "",
}
#: As they stand in a body; Python's JSON reads the first three.
NUMBERS = ("NaN", "Infinity", "1e999", "-1", "0", "0.5", "9" * 30, "1e308", "true", '"12"', '"x"', "[]", "null")
#: Refused in every field.
NEVER = ("NUL", "escape", "half a character")
#: Their bodies are events, read by rules of their own.
ELSEWHERE = ("/v1/webhooks/",)


@dataclass(frozen=True)
class Box:
    """One text box: a field of a body, or a parameter."""

    method: str
    path: str
    name: str
    body: Any = None
    parameter: str = ""


@pytest.fixture
async def http(
    settings: Settings, db: Database, temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, FastAPI]]:
    """The whole API without a worker; no name is looked up, no mail server asked."""
    monkeypatch.setattr(purchase, "QUOTE_PATIENCE", 0.0)
    monkeypatch.setattr(domains, "DNS_SECONDS", 0.0)
    monkeypatch.setattr(purchase, "vendors", lambda _: {"inventory": InventoryVendor(["203.0.113.0/28"])})
    plain = socket.getaddrinfo

    def looked_up(host: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        if str(host) in ("127.0.0.1", "localhost"):
            return plain(host, *rest, **more)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    def closed(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(smtplib.SMTP, "connect", closed)
    async with db.write() as session:
        token = await accounts.create_token(session, "an administrator", Role.ADMIN)
    app = create(settings.model_copy(update={"rate_limit_per_minute": 10**6}), db, temporal)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://warmpath.test",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    ) as client:
        yield client, app


class Document:
    """The OpenAPI document, as far as text boxes stand in it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def boxes(self, *kinds: str) -> Iterator[Box]:
        """Every field of these types in every body, and every such parameter of every call."""
        for path, calls in self._document["paths"].items():
            if path.startswith(ELSEWHERE):
                continue
            for method, call in calls.items():
                for one in call.get("parameters", []):
                    if one["in"] in ("query", "path") and self._kinds(one["schema"]) & {*kinds}:
                        yield Box(method.upper(), path, one["name"], parameter=one["in"])
                content = call.get("requestBody", {}).get("content", {})
                if "application/json" in content:
                    schema = content["application/json"]["schema"]
                    for name, body in self._changed(schema, kinds):
                        yield Box(method.upper(), path, name, body=body)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        for kind in ("anyOf", "allOf", "oneOf"):
            options = [self._resolved(one) for one in schema.get(kind, [])]
            if options:
                return next((one for one in options if one.get("type") != "null"), options[0])
        return schema

    def _kinds(self, schema: dict[str, Any]) -> set[str]:
        found = self._resolved(schema)
        return set() if "enum" in found or "const" in found else {str(found.get("type"))}

    def _plain(self, schema: dict[str, Any]) -> Any:  # noqa: ANN401
        found = self._resolved(schema)
        if "enum" in found:
            return found["enum"][0]
        if "const" in found:
            return found["const"]
        if found.get("type") == "object":
            needed = found.get("required", [])
            return {name: self._plain(one) for name, one in found.get("properties", {}).items() if name in needed}
        number = found.get("minimum", found.get("exclusiveMinimum", 0))
        return {"string": "a", "integer": int(number) + 1, "number": number + 0.1, "boolean": True, "array": []}.get(
            str(found.get("type"))
        )

    def _changed(self, schema: dict[str, Any], kinds: tuple[str, ...], where: str = "") -> Iterator[tuple[str, Any]]:
        """Bodies with the mark where one value is to be put."""
        found = self._resolved(schema)
        if found.get("type") == "object":
            base = self._plain(found)
            for name, one in found.get("properties", {}).items():
                for inner, value in self._changed(one, kinds, f"{where}.{name}".lstrip(".")):
                    yield inner, {**base, name: value}
        elif found.get("type") == "array" and "items" in found:
            for inner, value in self._changed(found["items"], kinds, f"{where}.0".lstrip(".")):
                yield inner, [value]
        elif self._kinds(found) & {*kinds}:
            yield where, MARK


MARK = "the text box"


def _filled(body: Any, value: str) -> bytes:  # noqa: ANN401
    return json.dumps(body).replace(json.dumps(MARK), value).encode()


# The stricter of the two stores: it takes no NUL.
@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.timeout(300)
async def test_whatever_is_typed(http: tuple[httpx.AsyncClient, FastAPI]) -> None:
    client, app = http
    boxes = list(Document(app.openapi()).boxes("string"))
    assert len(boxes) > 60
    wrong: list[str] = []
    for box in boxes:
        for called, text in TYPED.items():
            path, sent = box.path, {}
            if box.parameter == "path":
                if not text or "\ud800" in text:
                    continue
                path = path.replace(f"{{{box.name}}}", quote(text, safe=""))
            elif box.parameter == "query":
                if "\ud800" in text:
                    continue
                sent["params"] = {box.name: text}
            else:
                sent = {"content": _filled(box.body, json.dumps(text)), "headers": {"Content-Type": "application/json"}}
            path = path.replace("{address}", "203.0.113.9")
            answer = await client.request(box.method, path, **sent)
            told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            named = [str(one.get("field")) for one in told.get("errors", [])]
            put = f"{box.method} {box.path} {box.name} {called}: {answer.status_code} {answer.text[:300]}"
            if answer.status_code >= 500:
                wrong.append(put)
            elif called in NEVER and not (answer.status_code == 422 and box.name in named):
                wrong.append(f"not refused by name: {put}")
            elif answer.status_code == 422 and not any(named):
                wrong.append(f"names no field: {put}")
            elif len(told.get("detail", "")) > 600:
                wrong.append(f"repeats what was typed: {put}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(300)
async def test_whatever_number_is_typed(http: tuple[httpx.AsyncClient, FastAPI]) -> None:
    client, app = http
    boxes = list(Document(app.openapi()).boxes("integer", "number"))
    assert len(boxes) > 20
    wrong: list[str] = []
    for box in boxes:
        for number in NUMBERS:
            path, sent = box.path.replace("{address}", "203.0.113.9"), {}
            if box.parameter == "path":
                path = path.replace(f"{{{box.name}}}", quote(number, safe=""))
            elif box.parameter == "query":
                sent = {"params": {box.name: number}}
            else:
                sent = {"content": _filled(box.body, number), "headers": {"Content-Type": "application/json"}}
            answer = await client.request(box.method, path, **sent)
            told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            named = [str(one.get("field")) for one in told.get("errors", [])]
            put = f"{box.method} {box.path} {box.name} {number}: {answer.status_code} {answer.text[:300]}"
            if answer.status_code >= 500:
                wrong.append(put)
            elif answer.status_code == 422 and not any(named):
                wrong.append(f"names no field: {put}")
    assert not wrong, "\n".join(wrong)
