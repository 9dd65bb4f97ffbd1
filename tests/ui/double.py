"""A small HTTP server that answers in the shapes of the API, so that pages are tested over a real socket."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from ui.client import JsonValue

TOKEN = "test-token"
ADDRESS = "203.0.113.9"
_RECORD = {
    "name": "mail1.example.test",
    "type": "A",
    "expected": [ADDRESS],
    "required": True,
    "ttl": 300,
    "published": {
        "state": "published",
        "servers": [
            {"server": "ns1", "outcome": "answer", "values": [ADDRESS], "state": "published"},
            {"server": "ns2", "outcome": "nxdomain", "values": [], "state": "missing"},
        ],
    },
    "visible": {
        "state": "waiting",
        "resolvers": [{"server": "1.1.1.1", "outcome": "nxdomain", "values": [], "state": "missing"}],
    },
    "fix": "Enter the A record mail1.example.test with 203.0.113.9.",
}
_SPF = _RECORD | {
    "key": "spf",
    "name": "example.test",
    "type": "TXT",
    "expected": ["v=spf1 ip4:203.0.113.9 -all"],
    "fix": "",
}


class State:
    """What the double holds, and what it was asked to do."""

    def __init__(self) -> None:
        self.ips: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.warmups: dict[str, dict[str, Any]] = {}
        self.attention: list[dict[str, Any]] = []
        self.attention_total: int | None = None
        self.asked: list[tuple[str, str, dict[str, Any], str | None]] = []
        self.read: list[tuple[str, dict[str, str]]] = []
        self.refuse: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.garble: set[str] = set()
        self.profile = "sandbox"
        self.day_seconds = 86_400.0
        self.role = "admin"
        self.incidents: list[dict[str, Any]] = []
        self.listings: list[dict[str, Any]] = []
        self.down = False
        self.next_look_at: str | None = None
        self.campaigns: list[dict[str, Any]] = []
        self.pauses: list[dict[str, Any]] = []
        self.audit: list[dict[str, Any]] = [
            {"id": 1, "at": "2026-03-01T00:00:00Z", "who": "ada", "role": "operator", "what": "order.purchase",
             "target": "order-1", "why": "", "before": None, "after": None}
        ]  # fmt: skip
        self.pools: list[dict[str, Any]] = [{"name": "default", "ips": 1, "default": True}, {"name": "bulk", "ips": 0}]
        self.senders: list[dict[str, Any]] = [{"name": "acme", "pool": "default", "matches": ["acme.example"]}]
        self.tokens: list[dict[str, Any]] = [
            {"id": "t1", "name": "first", "role": "admin", "created_at": "2026-03-01T00:00:00Z", "revoked_at": None}
        ]

    def at_risk(self, address: str) -> bool:
        return str(self.ips[address]["stage"]) == "at_risk"

    def add_ip(self, stage: str, address: str = ADDRESS) -> dict[str, Any]:
        """An IP at a stage."""
        verified = stage not in ("selected", "purchasing", "awaiting_dns")
        self.ips[address] = {
            "address": address,
            "type": "dedicated",
            "stage": stage,
            "status": "Active" if verified else "Awaiting DNS",
            "pool": "default",
            "domain": "example.test",
            "hostname": "mail1.example.test",
            "daily_cap": 50 if verified else None,
            "safe_limit": 2000,
            "sent_today": 20 if verified else None,
            "score": 92,
            "band": "green",
            "waiting_for": None if verified else "the A record at your registrar",
            "waiting_on": None if verified else "registrar",
            "workflow": {"id": f"ip:{address}", "run_id": "1", "url": "http://127.0.0.1:8233/x"},
        }
        return self.ips[address]

    def reach(self, scope: str, name: str) -> dict[str, int]:
        """What sends now and belongs to a scope."""
        senders = [one for one in self.senders if scope == "all" or name in (one["name"], one["pool"])]
        ips = [one for one in self.ips.values() if one["stage"] in ("warming", "full_capacity")]
        return {
            "campaigns": sum(one["sender"] in [sender["name"] for sender in senders] for one in self.campaigns),
            "senders": len(senders) if ips else 0,
            "ips": sum(scope == "all" or one["address"] == name or one["pool"] == name for one in ips),
            "kept": sum(one.get("paused", False) for one in self.campaigns),
        }

    def add_warmup(self, address: str = ADDRESS) -> None:
        """A running warm-up with a week behind it."""
        decisions = ["grow", "grow", "hold", "grow", "step_back", "grow", "grow"]
        self.warmups[address] = {
            "plan": {
                "initial": 50,
                "growth": 0.25,
                "step_days": 1,
                "target": 2000,
                "sending_days": list(range(7)),
            },
            "step": 5,
            "steps": 17,
            "state": "running",
            "cap": 153,
            "by_provider": {"gmail": 70, "microsoft": 40, "yahoo": 20, "apple": 8, "other": 15},
            "forecast": {
                "days": forecast(50, 0.25, 2000)["days"],
                "finish": forecast(50, 0.25, 2000)["finish"],
            },
            "history": [
                {
                    "date": f"2026-03-0{day + 1}",
                    "cap": int(50 * 1.25**day),
                    "granted": int(48 * 1.25**day),
                    "attempted": int(48 * 1.25**day),
                    "delivered": int(47 * 1.25**day),
                    "bounced": day % 2,
                    "blocked": 0,
                    "deferred": day,
                    "complained": 0,
                    "decision": decision,
                    "reason": "The IP sent over 90 % of its cap and its figures are healthy.",
                }
                for day, decision in enumerate(decisions)
            ],
        }


def forecast(initial: float, growth: float, target: float) -> dict[str, Any]:
    """A forecast in the API's shape."""
    days: list[dict[str, Any]] = []
    cap = float(initial)
    while cap < target and len(days) < 400:
        days.append({"day": len(days) + 1, "date": _date(len(days)), "cap": int(cap), "by_provider": {}})
        cap *= 1 + growth
    days.append({"day": len(days) + 1, "date": _date(len(days)), "cap": int(target), "by_provider": {}})
    last = len(days) - 1
    return {"days": days, "finish": {"p10": _date(last), "p50": _date(last + 2), "p90": _date(last + 9)}}


def _date(day: int) -> str:
    return f"{dt.date(2026, 3, 1) + dt.timedelta(days=day):%Y-%m-%d}"


def quoted(body: dict[str, Any], number: int) -> dict[str, Any]:
    """A quoted order for what was asked."""
    price = {"amount": "8.00", "currency": "USD"}
    return {
        "id": f"order-{number}",
        "status": "quoted",
        **{name: body.get(name) for name in ("type", "vendor", "count", "domain", "hostname")},
        "candidates": [
            {"address": ADDRESS, "price": price, "verdict": "recommended", "reasons": ["on no blocklist"]},
            {"address": "203.0.113.66", "price": price, "verdict": "refused", "reasons": ["listed on zen"]},
        ],
        "quote": {"total": price, "monthly": price},
        "workflow": {"id": f"purchase:order-{number}", "run_id": None, "url": "http://127.0.0.1:8233/x"},
        "payment": {"status": "none"},
        "ips": [],
    }


class Double(BaseHTTPRequestHandler):
    """Answers one request from :class:`State`."""

    state: State

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _answer(self, status: int, body: JsonValue, kind: str = "application/json") -> None:
        payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        body: dict[str, Any] = {}
        if length := int(self.headers.get("Content-Length") or 0):
            raw = self.rfile.read(length)
            csv = self.headers.get("Content-Type", "").startswith("text/csv")
            body = {"csv": raw.decode(), **dict(parse_qsl(url.query))} if csv else json.loads(raw)
        state = self.state
        if method == "GET":
            state.read.append((url.path, {name: values[0] for name, values in parse_qs(url.query).items()}))
        else:
            state.asked.append((method, url.path, body, self.headers.get("Idempotency-Key")))
        if state.down:
            self._answer(503, {"title": "Unavailable", "status": 503, "detail": "The API restarts."})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"title": "Unauthorised", "status": 401, "detail": "The token is not known."})
        elif (method, url.path) in state.refuse:
            status, problem = state.refuse[method, url.path]
            self._answer(status, problem, "application/problem+json")
        elif url.path in state.garble:
            self._answer(200, '{"items": [1, 2]}')
        else:
            self._route(method, url.path, body, {name: values[0] for name, values in parse_qs(url.query).items()})

    def _route(self, method: str, path: str, body: dict[str, Any], query: dict[str, str]) -> None:
        state = self.state
        parts = [unquote(part) for part in path.strip("/").split("/")[1:]]
        match (method, *parts):
            case ("GET", "attention"):
                total = state.attention_total or len(state.attention)
                self._answer(200, {"items": state.attention, "total": total})
            case ("GET", "fleet"):
                stages: dict[str, int] = {}
                for ip in state.ips.values():
                    stages[ip["stage"]] = stages.get(ip["stage"], 0) + 1
                bands = {"green": len(state.ips)} if state.ips else {}
                self._answer(
                    200,
                    {
                        "stages": stages, "bands": bands, "installation": "SANDBOX", "profile": state.profile,
                        "day_seconds": state.day_seconds,
                    },
                )  # fmt: skip
            case ("GET", "me"):
                self._answer(200, {"name": "first operator", "role": state.role})
            case ("GET", "pools"):
                self._answer(200, {"items": state.pools, "next": None})
            case ("POST", "pools"):
                state.pools.append(body | {"ips": 0})
                self._answer(201, state.pools[-1])
            case ("PATCH", "pools" | "senders" as kind, name):
                held = state.pools if kind == "pools" else state.senders
                one = next(one for one in held if one["name"] == name)
                one |= body
                self._answer(200, one)
            case ("DELETE", "pools" | "senders" | "campaigns" as kind, name):
                held = getattr(state, kind)
                held[:] = [one for one in held if one["name"] != name]
                self._answer(204, "")
            case ("POST", "senders"):
                state.senders.append(dict(body))
                self._answer(201, state.senders[-1])
            case ("GET", "metrics"):
                rates = {"delivery": 0.98, "bounce": 0.0101, "block": 0.0, "deferral": 0.02, "complaint": None}
                counts = {"attempted": 1234, "delivered": 1209, "bounced": 12, "blocked": 0, "deferred": 25}
                figures = counts | {"complained": 0, "rates": rates} if state.warmups else {"attempted": 0}
                named = {"ip": ADDRESS, "provider": "gmail", "sender": "acme", "campaign": ""}[query.get("by", "ip")]
                self._answer(
                    200,
                    {
                        "total": figures,
                        "items": [figures | {"name": named}] if state.warmups else [],
                        "points": [counts | {"at": f"2026-03-0{day}T00:00:00Z"} for day in (1, 2)],
                    },
                )
            case ("GET", "metrics", "caps"):
                windows = [
                    {
                        "starts_at": f"2026-03-0{day}T00:00:00Z", "ends_at": f"2026-03-0{day + 1}T00:00:00Z",
                        "cap": 50 * day, "granted": 40 * day, "decision": "grow", "reason": "It filled its cap.",
                    }
                    for day in range(1, 4)
                ]  # fmt: skip
                asked = [address for address in [query["ip"]] if address in state.warmups]
                self._answer(200, {"items": [{"address": one, "windows": windows} for one in asked]})
            case ("GET", "replies"):
                self._answer(200, {"items": [], "next": None})
            case ("GET", "dead-letters"):
                self._answer(200, {"items": []})
            case ("GET", "senders"):
                self._answer(200, {"items": state.senders, "next": None})
            case ("GET", "campaigns", "pauses"):
                self._answer(200, {"items": state.pauses, "next": None})
            case ("GET", "campaigns", "reach"):
                self._answer(200, state.reach(query["scope"], query.get("name", "")))
            case ("GET", "campaigns"):
                self._answer(200, {"items": state.campaigns, "next": None})
            case ("POST", "campaigns"):
                made = {"paused": False, "status": "active", "reason": "", "created_at": "2026-03-01T00:00:00Z"}
                state.campaigns.append(body | made)
                self._answer(201, state.campaigns[-1])
            case ("POST", "campaigns", name, "finish"):
                (one,) = [one for one in state.campaigns if one["name"] == name]
                one |= {"paused": True, "status": "finished", "finished_at": "2026-03-02T00:00:00Z"}
                state.pauses.append({"scope": {"campaign": name}, "reason": "finished", "paused": True})
                self._answer(200, one)
            case ("POST", "campaigns", "pause" | "resume" as verb):
                for one in state.campaigns:
                    if one["name"] == body["scope"].get("campaign"):
                        status = "paused" if verb == "pause" else "active"
                        one |= {"paused": verb == "pause", "status": status, "reason": body["reason"]}
                state.pauses[:] = [one for one in state.pauses if one["scope"] != body["scope"]]
                if verb == "pause":
                    since = {"since": "2026-03-01T00:00:00Z", "who": "first operator", "paused": True}
                    state.pauses.append({"scope": body["scope"], "reason": body["reason"]} | since)
                self._answer(200, {"scope": body["scope"], "paused": verb == "pause", "reason": body["reason"]})
            case ("POST", "incidents", identity, "close"):
                state.incidents[:] = [one | {"closed_at": "2026-03-03T00:00:00Z"} for one in state.incidents]
                self._answer(200, {"id": identity})
            case ("GET", "incidents"):
                self._answer(200, {"items": state.incidents, "next": None})
            case ("GET", "vendors"):
                price = {"amount": "8.00", "currency": "USD"}
                regions = [
                    {"name": name, "monthly_cost": price, "monthly_price": price, "stock": stock}
                    for name, stock in (("eu-1", 12), ("us-1", 0))
                ]
                self._answer(200, {"items": [{"name": "sandbox", "regions": regions, "trouble": ""}], "next": None})
            case ("GET", "ips"):
                chosen = [
                    ip
                    for ip in sorted(state.ips.values(), key=lambda ip: str(ip["address"]))
                    if query.get("stage") in (None, ip["stage"])
                    and query.get("q", "") in ip["address"] + ip["hostname"]
                    and ip["address"] > query.get("after", "")
                ]
                limit = int(query.get("limit") or 50)
                following = chosen[limit - 1]["address"] if len(chosen) > limit else None
                self._answer(200, {"items": chosen[:limit], "next": following})
            case ("GET", "ips", address) if address in state.ips:
                self._answer(200, state.ips[address])
            case ("GET", "ips", address, "dns") if address in state.ips:
                verified = state.ips[address]["status"] == "Active"
                self._answer(
                    200,
                    {
                        "state": "verified" if verified else "waiting",
                        "deadline": "2126-01-01T00:00:00Z",
                        "verified_at": "2026-03-01T00:00:00Z" if verified else None,
                        "next_look_at": state.next_look_at,
                        "records": [_RECORD, _SPF],
                        "checks": [{"name": "FCrDNS", "ok": verified, "detail": "no PTR yet"}],
                    },
                )
            case ("GET", "ips", _, "dns", "zonefile"):
                self._answer(200, "mail1 300 IN A 203.0.113.9\n", "text/plain")
            case ("POST", "ips", _, "dns", "verify" | "support"):
                self._answer(200, {"state": "waiting", "records": []})
            case ("GET", "orders"):
                self._answer(200, {"items": list(state.orders.values()), "next": None})
            case ("POST", "orders"):
                order = quoted(body, len(state.orders) + 1)
                state.orders[order["id"]] = order
                self._answer(201, order)
            case ("GET", "orders", number):
                self._answer(200, state.orders[number])
            case ("POST", "orders", number, "purchase"):
                state.orders[number] |= {"status": "purchased", "ips": [ADDRESS]}
                state.add_ip("awaiting_dns")
                self._answer(200, state.orders[number])
            case ("POST", "orders", number, "cancel"):
                state.orders[number] |= {"status": "cancelled", "reason": "cancelled by you"}
                self._answer(200, state.orders[number])
            case ("POST", "warmup", "forecast"):
                self._answer(200, forecast(body["initial"], body["growth"], body["target"]))
            case ("GET", "warmup", "presets"):
                self._answer(200, {"items": [{"name": "sendgrid", "title": "SendGrid manual"}]})
            case ("GET", "ips", address, "warmup") if address in state.warmups:
                self._answer(200, state.warmups[address])
            case ("POST" | "PATCH", "ips", address, "warmup"):
                state.add_warmup(address)
                state.ips[address]["stage"] = "warming"
                self._answer(200, state.warmups[address])
            case ("POST", "ips", address, "warmup", command):
                state.warmups[address]["state"] = {"pause": "paused"}.get(command, "running")
                self._answer(200, state.warmups[address])
            case ("GET", "reputation"):
                self._answer(
                    200,
                    {
                        "items": [
                            {name: ip.get(name) for name in ("address", "score", "band", "stage")}
                            | {"measured_at": "2026-03-01T00:00:00Z"}
                            | {"listings": ["zen.example", "spam.example"], "unconfirmed": ["spam.example"]}
                            for ip in state.ips.values()
                        ]
                    },
                )
            case ("GET", "ips", address, "reputation"):
                self._answer(
                    200,
                    {
                        "score": 92,
                        "band": "green",
                        "components": [
                            {"name": "blocklists", "value": 100, "weight": 40, "sample": 6, "age": 300},
                            {"name": "complaints", "value": None, "weight": 20, "sample": 0, "age": None},
                        ],
                        "listings": [one for one in state.listings if not one.get("cleared_at")],
                        "past_listings": [one for one in state.listings if one.get("cleared_at")],
                        "trend": [
                            {"at": "2026-03-01T00:00:00Z", "score": 90},
                            {"at": "2026-03-02T00:00:00Z", "score": 92},
                        ],
                    },
                )
            case ("POST", "ips", address, "reputation", "check"):
                self._answer(
                    202, {"workflow": {"id": f"sweep-reputation:{address}", "url": "http://127.0.0.1:8233/look"}}
                )
            case ("POST", "ips", address, "assign") if state.at_risk(address) and "anyway" not in body:
                said = f"{address} is at risk: no new domains go on it before that is over."
                told = {"detail": said, "errors": [{"field": "anyway", "message": said}]}
                self._answer(409, told, "application/problem+json")
            case ("POST", "ips", address, "retire" | "assign" as command):
                state.ips[address] |= {"stage": "retired"} if command == "retire" else {"pool": body["pool"]}
                self._answer(200, state.ips[address])
            case ("POST", "ips", "import"):
                lines = body["csv"].splitlines()[1:]
                for line in lines:
                    state.add_ip("awaiting_dns", line.split(",")[0])
                self._answer(201, {"items": [line.split(",")[0] for line in lines], "next": None})
            case ("PUT", "ips", address, "smtp"):
                login = f"{body['host']}:{body['port']} {body['username']}"
                state.ips[address]["smtp_login"] = login
                self._answer(200, {"address": address, "smtp_login": login})
            case ("GET", "tokens"):
                self._answer(200, {"items": state.tokens})
            case ("POST", "tokens"):
                state.tokens.append(state.tokens[0] | {"id": "t2", **body})
                self._answer(201, {"token": "wp_t2_secret"})
            case ("DELETE", "tokens", identity):
                for one in state.tokens:
                    if one["id"] == identity:
                        one["revoked_at"] = "2026-03-02T00:00:00Z"
                self._answer(204, "")
            case ("GET", "settings"):
                self._answer(200, {"day_seconds": 1.5, "secret_key": "set", "smtp_tls": True, "region": None})
            case ("GET", "audit"):
                self._answer(200, {"items": state.audit, "next": None})
            case _:
                self._answer(404, {"title": "Not found", "status": 404, "detail": "There is no such thing."})


@contextmanager
def running() -> Iterator[tuple[str, State]]:
    """The double on a free port: its address and its state."""
    state = State()
    handler = type("Bound", (Double,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
