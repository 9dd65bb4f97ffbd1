"""The console's HTTP client: refusals become typed, with a sentence per field."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from ui.client import Api, Problem, TooSlow, Unreachable, configured_token, path_of


def answering(status: int, body: object) -> Api:
    """A client whose every question gets one answer."""
    return Api("http://api.test", "t", httpx.MockTransport(lambda _: httpx.Response(status, json=body)))


def test_a_refusal_names_its_fields() -> None:
    api = answering(
        422,
        {
            "title": "Refused",
            "detail": "Two fields are wrong.",
            "errors": [
                {"field": "domain", "detail": "no such domain"},
                {"loc": ["body", "smtp", "host"], "msg": "does not answer"},
                {"pointer": "#/count", "message": "at least 1"},
            ],
        },
    )
    with pytest.raises(Problem) as caught:
        api.post("/v1/orders", {})
    problem = caught.value
    assert problem.detail == "Two fields are wrong."
    assert problem.at("domain") == "no such domain"
    assert problem.at("host") == "does not answer"
    assert problem.at("count") == "at least 1"
    assert problem.at("pool") is None


def test_an_answer_that_is_no_problem_document_is_still_a_sentence() -> None:
    api = Api("http://api.test", "t", httpx.MockTransport(lambda _: httpx.Response(502, text="<html>")))
    with pytest.raises(Problem) as caught:
        api.get("/v1/ips")
    assert caught.value.detail == "Bad Gateway"


def test_an_api_that_is_down_says_how_to_start_it() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Unreachable, match="make up"):
        Api("http://api.test", "t", httpx.MockTransport(refuse)).get("/v1/ips")


def test_what_is_not_there_is_none_but_other_refusals_stay() -> None:
    assert answering(404, {"detail": "unknown"}).find("/v1/ips/203.0.113.1") is None
    with pytest.raises(Problem):
        answering(403, {"detail": "not allowed"}).find("/v1/ips")


def test_an_idempotency_key_travels_with_the_command() -> None:
    seen: list[str | None] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Idempotency-Key"))
        return httpx.Response(201, json={"id": "1"})

    Api("http://api.test", "t", httpx.MockTransport(note)).post("/v1/orders", {}, key="k1")
    assert seen == ["k1"]


def test_the_whole_of_a_paged_list_is_read_and_a_deletion_says_why() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        if request.method == "DELETE":
            return httpx.Response(204)
        following = {None: "b", "b": "c", "c": None}[request.url.params.get("after")]
        return httpx.Response(200, json={"items": [{"name": following or "end"}], "next": following})

    api = Api("http://api.test", "t", httpx.MockTransport(answer))
    assert api.names("/v1/pools") == ["b", "c", "end"]
    api.delete(path_of("/v1/pools/{name}", name="eu/two words"), "given up")
    assert (asked[-1].raw_path, asked[-1].params["reason"]) == (
        b"/v1/pools/eu%2Ftwo%20words?reason=given+up", "given up",
    )  # fmt: skip


def test_odd_input_stays_one_segment_of_a_path() -> None:
    assert path_of("/v1/ips/{ip}", ip="../x?y") == "/v1/ips/..%2Fx%3Fy"


def test_the_token_comes_from_the_environment_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARMPATH_VAR_DIR", str(tmp_path))
    monkeypatch.delenv("WARMPATH_TOKEN", raising=False)
    assert configured_token() is None
    (tmp_path / "operator.token").write_text("from-file\n")
    assert configured_token() == "from-file"
    monkeypatch.setenv("WARMPATH_TOKEN", "from-env")
    assert configured_token() == "from-env"


def test_an_api_that_hangs_is_waited_for_once_a_page() -> None:
    seen: list[str] = []

    def hang(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        raise httpx.ReadTimeout("late", request=request)

    api = Api("http://api.test", "t", httpx.MockTransport(hang))
    with pytest.raises(TooSlow):
        api.post("/v1/campaigns/pause")
    for _ in range(3):
        with pytest.raises(TooSlow, match="took too long"):
            api.get("/v1/ips")
    with pytest.raises(TooSlow):
        api.post("/v1/campaigns/pause")
    assert seen == ["POST", "GET", "POST"]
