"""Numbers that no plan can mean are refused at once, not computed."""

from __future__ import annotations

import asyncio

import httpx
import pytest


@pytest.mark.parametrize(
    "body",
    [
        '{"initial": 1' + "0" * 400 + "}",
        '{"target": 1' + "0" * 400 + "}",
        '{"step_days": -9' + "9" * 40 + "}",
        '{"preset": "mailtrap", "target": 999999999}',
        '{"preset": "mailtrap", "growth": 1e308, "target": 100000}',
        '{"growth": 1e999}',
        '{"growth": NaN}',
        '{"initial": 2147483648}',
        '{"sending_days": [99999999999999999999]}',
        '{"time_zone": "../../etc/passwd"}',
    ],
)
async def test_an_extreme_number_is_refused(api: httpx.AsyncClient, body: str) -> None:
    async with asyncio.timeout(20):
        answer = await api.post("/v1/warmup/forecast", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_a_refusal_names_the_field(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/warmup/forecast", json={"initial": 51})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "initial"


async def test_the_fields_of_a_plan_may_stand_below_plan(api: httpx.AsyncClient) -> None:
    wanted = {"initial": 30, "growth": 0.3, "target": 300}
    flat, nested = [
        (await api.post("/v1/warmup/forecast", json=body)).json()["days"] for body in (wanted, {"plan": wanted})
    ]
    assert [day["cap"] for day in nested] == [day["cap"] for day in flat]
    assert nested[0]["cap"] == 30

    for wrong, says in (({"growth": 0.5}, "give 20 % to 30 %"), ({"growt": 0.25}, "no field of this name")):
        answer = await api.post("/v1/warmup/forecast", json={"plan": wrong})
        assert answer.status_code == 422, answer.text
        assert says in answer.json()["detail"]


async def test_a_number_of_thousands_of_digits_is_no_body(api: httpx.AsyncClient) -> None:
    body = '{"target": 1' + "0" * 5000 + "}"
    answer = await api.post("/v1/warmup/forecast", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
