"""A misspelt field of a command is refused, not ignored: no command starts with defaults that nobody asked for."""

from __future__ import annotations

from typing import Any

import pytest

from api.app import create
from settings import Settings


def bodies(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Schema of each JSON body with a model, by method and path."""
    found = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            for one in (schema, *schema.get("anyOf", ())):
                if "$ref" in one:
                    name = one["$ref"].rpartition("/")[2]
                    found[f"{method.upper()} {path} {name}"] = document["components"]["schemas"][name]
    return found


def test_no_command_takes_fields_that_it_does_not_know(settings: Settings) -> None:
    shown = bodies(create(settings).openapi())
    assert len(shown) > 15
    open_ = [where for where, schema in shown.items() if schema.get("additionalProperties") is not False]
    assert not open_, 'add extra="forbid" to the model'


@pytest.mark.parametrize("content", [b"{", b'{"reason": }'])
async def test_what_is_no_json_is_called_so(api: Any, content: bytes) -> None:  # noqa: ANN401
    answer = await api.post("/v1/tokens", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("The body is no JSON: ")
    assert answer.json()["errors"][0]["field"] is None
