"""Amazon SES: pools against moto's server; what moto lacks against an account whose answers botocore's model checks.

Requests of either kind are checked by botocore itself; answers of the account by the same validation that its
Stubber uses. None of this is the real service.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import validate_parameters
from moto.server import ThreadedMotoServer

from domain.routing import Exit, Routes, Scope
from domain.sources import Source
from providers.senders.port import MailSystemError
from providers.senders.registry import mail_systems
from providers.senders.ses import PATIENCE, Ses
from settings import Settings

A, B, OTHER, MANAGED = "198.51.100.1", "198.51.100.2", "203.0.113.1", "203.0.113.2"
DEFAULT = "ses-default-dedicated-pool"
SETS = ("sender/acme=acme-set", "pool/main=main-set", "campaign/spring=spring-set", "all=rest-set")
SOURCES = [
    Source(A, A, "a.example", "main", cap=50, safe_limit=2000),
    Source(B, B, "b.example", "main", warm=True, safe_limit=2000),
    Source("192.0.2.9", "192.0.2.9", "postfix.example", "main", cap=50, safe_limit=2000),
]


def routes(*paused: tuple[Scope, str]) -> Routes:
    return Routes(
        exits={A: Exit(A, "main"), B: Exit(B, "main", warm=True)},
        senders={"acme": "main"},
        campaigns={"spring": "acme"},
        pauses=dict.fromkeys(paused, "bad luck"),
    )


class Account:
    """What moto lacks: dedicated IPs and configuration sets of one account, in the order of what was done."""

    def __init__(self, client: Any) -> None:
        self.ips = {
            A: {"Ip": A, "WarmupStatus": "IN_PROGRESS", "WarmupPercentage": 7, "PoolName": DEFAULT},
            B: {"Ip": B, "WarmupStatus": "DONE", "WarmupPercentage": 100, "PoolName": DEFAULT},
            OTHER: {"Ip": OTHER, "WarmupStatus": "DONE", "WarmupPercentage": 100, "PoolName": "somebody-elses"},
            MANAGED: {
                "Ip": MANAGED,
                "WarmupStatus": "NOT_APPLICABLE",
                "WarmupPercentage": -1,
                "PoolName": "warmpath-auto",
            },
        }
        self.sets = dict.fromkeys(["acme-set", "main-set", "spring-set", "rest-set"], True)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fails: dict[str, str] = {}
        self.client = client
        client.meta.events.register("provide-client-params.sesv2", self._noted)
        client.meta.events.register("before-call.sesv2", self._answered)

    def _noted(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((model.name, dict(params)))

    def _answered(self, model: Any, **_: Any) -> Any:
        given = self.calls[-1][1]
        if code := self.fails.get(model.name):
            error = {"Error": {"Code": code, "Message": "key AKIASECRET"}, "ResponseMetadata": {}}
            return SimpleNamespace(status_code=400), error
        answer: dict[str, Any] = {}
        match model.name:
            case "GetDedicatedIps":
                # One to a page, so that an adapter that reads one page only is found out.
                names, first = sorted(self.ips), int(given.get("NextToken", 0))
                answer = {"DedicatedIps": [dict(self.ips[one]) for one in names[first : first + 1]]}
                answer |= {"NextToken": str(first + 1)} if first + 1 < len(names) else {}
            case "PutDedicatedIpInPool":
                self.ips[given["Ip"]]["PoolName"] = given["DestinationPoolName"]
            case "PutDedicatedIpWarmupAttributes":
                self.ips[given["Ip"]]["WarmupPercentage"] = given["WarmupPercentage"]
            case "GetConfigurationSet":
                name = given["ConfigurationSetName"]
                answer = {"ConfigurationSetName": name, "SendingOptions": {"SendingEnabled": self.sets[name]}}
            case "PutConfigurationSetSendingOptions":
                assert given["ConfigurationSetName"] in self.sets
                self.sets[given["ConfigurationSetName"]] = given["SendingEnabled"]
            case _:
                return None  # moto has it
        validate_parameters(answer, model.output_shape)
        return SimpleNamespace(status_code=200), answer

    @property
    def changes(self) -> list[str]:
        return [name for name, _ in self.calls if not name.startswith(("Get", "List"))]

    def places(self) -> dict[str, str]:
        return {one: str(ip["PoolName"]) for one, ip in self.ips.items()}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def made(url: str, name: str = "test") -> Any:
    return boto3.client(
        "sesv2", region_name="us-east-1", endpoint_url=url, config=PATIENCE,
        aws_access_key_id=name, aws_secret_access_key="test",
    )  # fmt: skip


@pytest.fixture
def account(moto: str) -> Iterator[Account]:
    client = made(moto)
    yield Account(client)
    for pool in client.list_dedicated_ip_pools()["DedicatedIpPools"]:
        client.delete_dedicated_ip_pool(PoolName=pool)


def adapter(account: Account, look_seconds: float = 0.0) -> Ses:
    return Ses(lambda: account.client, SETS, look_seconds=look_seconds)


async def test_ips_get_a_pool_a_pool_of_warmpath_and_their_warm_up_once(account: Account) -> None:
    ses = adapter(account)
    said = await ses.apply(SOURCES) + await ses.follow(routes(), 0.0)
    assert said == [
        "made dedicated IP pool warmpath-closed",
        "made dedicated IP pool warmpath-main",
        f"set {A} to 2 % warmed",
        f"moved {A} into dedicated IP pool warmpath-main",
        f"moved {B} into dedicated IP pool warmpath-main",
    ]
    assert account.places() == {
        A: "warmpath-main",
        B: "warmpath-main",
        OTHER: "somebody-elses",
        MANAGED: "warmpath-auto",
    }
    assert set(account.client.list_dedicated_ip_pools()["DedicatedIpPools"]) == {"warmpath-main", "warmpath-closed"}
    before = len(account.changes)
    assert await ses.follow(routes(), 0.0) == []
    assert await adapter(account).apply(SOURCES) == []
    assert len(account.changes) == before, "what is so already is left alone, by another process as well"


@pytest.mark.parametrize(
    ("paused", "disabled"),
    [
        ((Scope.ALL, ""), {"acme-set", "main-set", "spring-set", "rest-set"}),
        ((Scope.SENDER, "acme"), {"acme-set", "spring-set"}),
        ((Scope.CAMPAIGN, "spring"), {"spring-set"}),
        ((Scope.POOL, "main"), {"acme-set", "main-set", "spring-set"}),
        ((Scope.IP, A), set()),
    ],
)
async def test_a_pause_disables_its_configuration_sets(
    account: Account, paused: tuple[Scope, str], disabled: set[str]
) -> None:
    ses = adapter(account)
    await ses.apply(SOURCES)
    said = await ses.follow(routes(paused), 0.0)
    assert {one for one, enabled in account.sets.items() if not enabled} == disabled
    assert sum("bad luck" in one for one in said) == len(disabled)
    await ses.follow(routes(), 0.0)
    assert all(account.sets.values())


async def test_a_paused_ip_leaves_its_pool_and_comes_back(account: Account) -> None:
    ses = adapter(account)
    await ses.apply(SOURCES)
    await ses.follow(routes(), 0.0)
    assert await ses.follow(routes((Scope.IP, A)), 0.0) == [f"moved {A} into dedicated IP pool warmpath-closed"]
    assert account.places()[B] == "warmpath-main"
    assert await ses.follow(routes(), 0.0) == [f"moved {A} into dedicated IP pool warmpath-main"]
    assert await ses.apply(SOURCES[1:]) == [f"moved {A} into dedicated IP pool warmpath-closed"], "it is no source now"


async def test_mail_stops_before_the_last_ip_goes_and_flows_after_the_first_is_back(account: Account) -> None:
    ses = adapter(account)
    await ses.apply(SOURCES)
    await ses.follow(routes(), 0.0)
    account.calls.clear()
    await ses.follow(routes((Scope.POOL, "main")), 0.0)
    assert account.changes == ["PutConfigurationSetSendingOptions"] * 3 + ["PutDedicatedIpInPool"] * 2
    account.calls.clear()
    await ses.follow(routes(), 0.0)
    assert account.changes == ["PutDedicatedIpInPool"] * 2 + ["PutConfigurationSetSendingOptions"] * 3


async def test_an_ip_without_a_day_sends_nothing(account: Account) -> None:
    ses = adapter(account)
    await ses.apply([Source(A, A, "a.example", "main", cap=None, safe_limit=2000)])
    await ses.follow(Routes(exits={A: Exit(A, "main")}, senders={"acme": "main"}), 0.0)
    assert account.places()[A] == "warmpath-closed"
    assert not account.sets["main-set"]


async def test_without_a_change_ses_is_not_asked_again_at_once(account: Account) -> None:
    ses = adapter(account, look_seconds=3600.0)
    await ses.apply(SOURCES)
    await ses.follow(routes(), 0.0)
    asked = len(account.calls)
    await ses.follow(routes(), 0.0)
    assert len(account.calls) == asked
    account.sets["main-set"] = True
    await ses.follow(routes((Scope.ALL, "")), 0.0)
    assert not account.sets["main-set"]


async def test_a_refusal_is_one_sentence_without_secrets_and_is_made_good(account: Account) -> None:
    ses = adapter(account, look_seconds=3600.0)
    await ses.apply(SOURCES)
    account.fails["PutDedicatedIpInPool"] = "BadRequestException"
    with pytest.raises(MailSystemError) as refused:
        await ses.follow(routes((Scope.POOL, "main")), 0.0)
    said = str(refused.value)
    assert said.startswith("Amazon SES answers BadRequestException to PutDedicatedIpInPool; done before: disabled")
    assert "AKIASECRET" not in said
    account.fails.clear()
    assert await ses.follow(routes((Scope.POOL, "main")), 0.0)
    assert account.places()[A] == account.places()[B] == "warmpath-closed"


async def test_a_pool_that_sends_is_not_the_one_for_closed_ips(account: Account) -> None:
    with pytest.raises(MailSystemError, match="WARMPATH_SES_CLOSED_POOL"):
        await adapter(account).apply([Source(A, A, "a.example", "closed", cap=50, safe_limit=2000)])
    assert account.changes == []


class Busy(BaseHTTPRequestHandler):
    """Too busy twice, then an empty account."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        busy = self.asked <= 2
        key = "DedicatedIpPools" if "pools" in self.path else "DedicatedIps"
        body = json.dumps({"message": "Too many requests"} if busy else {key: []}).encode()
        self.send_response(429 if busy else 200)
        if busy:
            self.send_header("x-amzn-ErrorType", "TooManyRequestsException")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


async def test_throttling_is_waited_for() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ses = Ses(lambda: made(f"http://127.0.0.1:{server.server_port}"))
        assert await ses.apply(SOURCES) == []
        server.shutdown()
    assert Busy.asked >= 4


@pytest.mark.parametrize("entry", ["acme-set", "ip/198.51.100.1=set", "sender/=set", "sender/acme=", "sender=set"])
def test_an_entry_that_maps_nothing_is_refused_at_start(entry: str) -> None:
    settings = Settings(mail_systems=("ses",), ses_configuration_sets=(entry,))
    with pytest.raises(MailSystemError, match="WARMPATH_SES_CONFIGURATION_SETS"):
        mail_systems(settings)
