"""Errors as RFC 9457 problems, one shape for every refusal."""

from __future__ import annotations

import re
import sqlite3

import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api import names
from domain.refusals import Conflict, NotFound, Refused
from store.database import Ails, ails

log = structlog.get_logger()

#: Characters in a row that a message repeats of what was typed; a DNS name or a reference is shorter or enough of it.
LONGEST_WORD = 253


class FieldError(BaseModel):
    """One input at fault."""

    field: str | None = None
    message: str
    code: str = "invalid"


class Problem(BaseModel):
    """An RFC 9457 problem; ``errors`` names each field."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


#: What every route may answer beside its own answer; keeps the OpenAPI document honest.
RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}, "description": words}
    for status, words in {
        400: "The body cannot be read.",
        401: "No token, or one that is not known.",
        403: "The token's role does not allow this.",
        404: "There is no such thing.",
        409: "The journey refuses this now; detail says why.",
        413: "The body is too large.",
        422: "An input is wrong; errors name the fields.",
        429: "Too many requests.",
        503: "A part Warmpath needs does not answer; try again.",
    }.items()
}


def problem(
    status: int, title: str, detail: str, errors: list[FieldError] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem as a response."""
    body = Problem(title=title, status=status, detail=detail, errors=errors or [])
    return JSONResponse(body.model_dump(mode="json"), status, headers=headers, media_type="application/problem+json")


def _short(detail: str) -> str:
    """A message without what only makes it long: nobody reads the ten thousand letters that he pasted again."""
    return re.sub(rf"\S{{{LONGEST_WORD + 1},}}", lambda found: f"{found.group()[:LONGEST_WORD]}...", detail)


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    detail = _short(error.detail)
    status, title = 422, "Not accepted"
    if isinstance(error, NotFound):
        status, title = 404, "Not found"
    elif isinstance(error, Conflict):
        status, title = 409, "Not now"
    named = [FieldError(field=error.field, message=detail, code=error.code)]
    return problem(status, title, detail, named)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = []
    for item in error.errors():
        outside = ("body", "query", "path", "header", "[key]")
        where = ".".join(str(part) for part in item["loc"] if part not in outside)
        if item["type"] == "json_invalid":
            said = f"The body is no JSON: {item['ctx']['error']} (character {item['loc'][-1]})."
            where, item = "", {**item, "msg": said}
        elif item["type"] == "string_pattern_mismatch":
            item = {**item, "msg": names.SAID.get(item["ctx"]["pattern"], item["msg"])}
        elif item["type"] == "extra_forbidden":
            item = {**item, "msg": "There is no field of this name; check its spelling or leave it out."}
        elif item["type"] in ("model_attributes_type", "dict_type") and not where:
            item = {**item, "msg": "The body is no JSON object; send one, with Content-Type: application/json."}
        elif item["type"] == "value_error":
            # Our own sentence, without what pydantic puts before it.
            item = {**item, "msg": str(item["ctx"]["error"])}
        errors.append(FieldError(field=where or None, message=item["msg"], code=item["type"]))
    first = errors[0]
    detail = f"{first.field}: {first.message}" if first.field else first.message
    return problem(422, "Not accepted", detail, errors)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "Refused", str(error.detail), headers=dict(error.headers or {}))


def _no_store(request: Request, error: Exception) -> JSONResponse:
    """A fault of the database itself is said in words: what was asked for is rolled back, and may be asked again."""
    what = ails(error)
    if what is None:
        return _failed(request, error)
    log.error("the database fails", path=request.url.path, what=what)
    if what is Ails.FULL:
        said = "The disk of the database is full: nothing was changed. Free space on it, then give the command again."
        return problem(503, "Disk full", said)
    return problem(503, "Not ready", "The database does not answer; try again in a moment.")


def _failed(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", path=request.url.path, error=type(error).__name__, exc_info=error)
    return problem(500, "Failed", "Warmpath could not do this; the log of the API says why.")


def install(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for fault in (sa.exc.OperationalError, sqlite3.OperationalError):
        app.add_exception_handler(fault, _no_store)
    app.add_exception_handler(Exception, _failed)
