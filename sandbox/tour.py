"""The steps that the tour and the first fleet share: order, buy, DNS, warm-up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from domain.words import DEFAULT_POOL
from sandbox.caller import Caller, Failed, Json
from sandbox.dns import tsig_keys
from settings import Settings

ACCEPTED_CARD = "pm_card_visa"


def smtp_login(settings: Settings) -> Json:
    """Credentials that the sandbox's mail server accepts."""
    logins: dict[str, str] = json.loads((settings.var_dir / "sandbox/smtp/logins.json").read_text())
    username, password = next(iter(logins.items()))
    return {
        "host": "127.0.0.1",
        "port": settings.smtp_port,
        "username": username,
        "password": password,
        "starttls": True,
    }


def order(api: Caller, settings: Settings, domain: str, hostname: str, key: str) -> Json:
    """A quoted order of one dedicated IP."""
    body = {
        "type": "dedicated",
        "vendor": "sandbox",
        "region": "eu-central",
        "count": 1,
        "pool": DEFAULT_POOL,
        "domain": domain,
        "hostname": hostname,
        "smtp": smtp_login(settings),
    }
    return api.post("/v1/orders", body, key)


def purchase(api: Caller, order_id: str, key: str) -> Json:
    """Press Complete Purchase and wait for the end of the order."""
    api.post(f"/v1/orders/{order_id}/purchase", {"payment_method": ACCEPTED_CARD}, key)
    ended = ("purchased", "failed", "cancelled")
    done = api.until(f"/v1/orders/{order_id}", lambda o: o["status"] in ended, 60)
    if done["status"] != "purchased":
        raise Failed(f"The order ended as {done['status']}: {done.get('reason')}")
    return done


def first_address(bought: Json) -> str:
    """The address of an order with one IP."""
    first = bought["ips"][0]
    return str(first["address"] if isinstance(first, dict) else first)


@dataclass(frozen=True)
class Registrar:
    """The person at the registrar, who types records in; here by dynamic update with his own key."""

    settings: Settings

    def enter(self, domain: str, records: list[Json]) -> list[str]:
        """Enter every record that lies below ``domain`` in place of its forerunner; the answer names them."""
        secret = tsig_keys(self.settings.var_dir / "sandbox" / "dns")["registrar"]
        keyring = dns.tsigkeyring.from_text({"registrar": secret})
        change = dns.update.UpdateMessage(
            domain,
            keyring=keyring,
            keyname=dns.name.from_text("registrar"),
            keyalgorithm=dns.tsig.HMAC_SHA256,
        )
        origin, entered = dns.name.from_text(domain), []
        for record in records:
            name = dns.name.from_text(record["name"])
            if not name.is_subdomain(origin):
                continue
            expected = record["expected"]
            values = expected if isinstance(expected, list) else [expected]
            if record["type"] == "TXT":
                for old in self._replaced(name, values):
                    change.delete(name, old)
            for value in values:
                change.add(name, int(record.get("ttl") or 30), record["type"], _as_rdata(record["type"], value))
            entered.append(f"{record['type']} {record['name']}")
        reply = dns.query.tcp(change, "127.0.0.1", port=self.settings.sandbox_dns_port, timeout=5)
        if reply.rcode() != dns.rcode.NOERROR:
            raise Failed(f"The registrar's server refused: {dns.rcode.to_text(reply.rcode())}")
        return entered

    def _replaced(self, name: dns.name.Name, values: list[str]) -> list[dns.rdata.Rdata]:
        """Texts that stand there and speak the language of a new one: a name has one SPF record."""
        tags = tuple(value.split(";")[0].split()[0] for value in values)
        query = dns.message.make_query(name, "TXT")
        reply = dns.query.tcp(query, "127.0.0.1", port=self.settings.sandbox_dns_port, timeout=5)
        held = [one for rrset in reply.answer for one in rrset if one.rdtype == dns.rdatatype.TXT]
        return [one for one in held if b"".join(one.strings).decode(errors="replace").startswith(tags)]


def _as_rdata(kind: str, value: str) -> str:
    """Text as a zone file has it: TXT in strings of at most 255 bytes, names with their final dot."""
    if kind == "TXT":
        if value.startswith('"'):
            return value
        parts = [value[start : start + 255] for start in range(0, len(value), 255)]
        return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
    return value if kind in ("A", "AAAA") or value.endswith(".") else f"{value}."


def until_active(api: Caller, address: str, told: Callable[[Json], None] | None = None) -> Json:
    """Wait until DNS is verified."""
    path = f"/v1/ips/{address}"
    return api.until(path, lambda ip: ip.get("status") == "Active", 90, told)


def start_warmup(api: Caller, address: str, target: int, key: str) -> Json:
    """Start at 50 a day and grow by 30 %."""
    plan = {"initial": 50, "growth": 0.3, "step_days": 1, "target": target}
    return api.post(f"/v1/ips/{address}/warmup", plan, key)
