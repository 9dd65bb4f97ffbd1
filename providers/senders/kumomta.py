"""KumoMTA: its files follow the inventory, its queues follow pauses, by its admin HTTP API.

Suspensions of KumoMTA live in its memory and end by themselves, so they are looked at again and again.
"""

from __future__ import annotations

import asyncio
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from domain.routing import Party, Routes, Scope, transport_name
from domain.silence import open_exits
from domain.sources import Source
from providers.senders.kumomta_files import QUEUES, SHAPING, SOURCES, queues_toml, shaping_toml, sources_toml
from providers.senders.port import MailSystemError
from settings import Settings

#: Begin of the reason of our suspensions; those of others are left alone.
OURS = "warmpath: "
SECONDS = 10.0
_SUSPEND, _READY = "/api/admin/suspend/v1", "/api/admin/suspend-ready-q/v1"
#: The one call that names every ready queue: `ready-q-states` names only those that stand at a limit.
_METRICS = "/metrics.json"
_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
_WORDS = {"day": "d", "days": "d", "min": "m", "mins": "m", "hr": "h", "hrs": "h"}
_PART = re.compile(r"(\d+)\s*([a-z]+)")

#: Campaign, tenant: what a suspension of scheduled queues covers; both None for all mail.
Criteria = tuple[str | None, str | None]


def seconds(duration: str) -> float:
    """A duration as KumoMTA writes it, ``6days 23h 59m 58s``; a unit above a day counts as a month."""
    total = 0.0
    for count, unit in _PART.findall(duration):
        total += int(count) * _UNITS.get(_WORDS.get(unit, unit), 30 * 86_400.0)
    return total


class KumoMta:
    """The KumoMTA of this machine.

    Args:
        folder: where its files are written.
        url: its HTTP listener.
        keep: seconds that a suspension lasts when nobody renews it.
    """

    name = "kumomta"

    def __init__(self, folder: Path, url: str, auth: tuple[str, str] | None = None, keep: float = 604_800.0) -> None:
        if not folder.is_absolute():
            raise MailSystemError(f"WARMPATH_KUMOMTA_DIR: {folder} is relative; name the folder from / on.")
        self._folder, self._url, self._auth, self._keep = folder, url.rstrip("/"), auth, keep
        self._sources: list[Source] | None = None
        self._routes: Routes | None = None
        # What was written before a crash may never have been announced.
        self._announced = False
        #: Senders with a new pool whose queued mail was not told yet.
        self._moves: dict[str, str] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> KumoMta:
        """Folder, listener and user of the settings."""
        password = settings.kumomta_password
        auth = (settings.kumomta_user, password.get_secret_value() if password else "")
        return cls(
            settings.kumomta_dir,
            settings.kumomta_url,
            auth if settings.kumomta_user else None,
            settings.kumomta_suspend_hours * 3_600.0,
        )

    async def apply(self, sources: Sequence[Source]) -> list[str]:
        """Write the files, once the routes are known: without them no IP would be open."""
        self._sources = list(sources)
        async with self._client() as client:
            return await self._write(client)

    async def follow(self, routes: Routes, changed_at: float) -> list[str]:
        """Suspend what is paused, release what is not, close IPs, and let queued mail change its pool."""
        self._routes = routes
        async with self._client() as client:
            # What stops mail comes first, and does not wait for a folder that cannot be written.
            did = await self._suspend(client, routes)
            did += await self._close(client, routes)
            return did + await self._write(client)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._url, auth=self._auth, timeout=SECONDS, trust_env=False)

    async def _write(self, client: httpx.AsyncClient) -> list[str]:
        routes = self._routes
        if self._sources is None or routes is None:
            return []
        pools = {*routes.overflow, *routes.senders.values()}
        files = {
            SOURCES: sources_toml(self._sources, pools, open_exits(routes)),
            SHAPING: shaping_toml(self._sources),
            QUEUES: queues_toml(routes.senders),
        }
        self._moves |= await asyncio.to_thread(self._moved, routes.senders)
        did: list[str] = []
        for name, text in files.items():
            if await asyncio.to_thread(self._written, name, text):
                self._announced = False
                did.append(f"wrote {name}")
        if not self._announced:
            await self._call(client, "POST", "/api/admin/bump-config-epoch")
            self._announced = True
        for tenant, pool in sorted(self._moves.items()):
            reason = f"{OURS}sender {tenant} sends from pool {pool} now"
            body = {"tenant": tenant, "reason": reason, "data": {"warmpath_pool": pool}, "always_flush": True}
            await self._call(client, "POST", "/api/admin/rebind/v1", body)
            del self._moves[tenant]
            did.append(f"rebound queued mail of sender {tenant} to pool {pool}")
        return did

    def _moved(self, senders: Mapping[str, str]) -> dict[str, str]:
        """Senders whose pool is another than the file on the disk says."""
        try:
            tenants = tomllib.loads((self._folder / QUEUES).read_text()).get("tenant", {})
        except (OSError, ValueError):
            return {}
        return {
            one: pool for one, pool in senders.items() if one in tenants and tenants[one].get("egress_pool") != pool
        }

    def _written(self, name: str, text: str) -> bool:
        """Write a file whole or not at all; answers whether it had to be."""
        path, new = self._folder / name, self._folder / f".{name}.new"
        try:
            if path.exists() and path.read_text() == text:
                return False
            self._folder.mkdir(parents=True, exist_ok=True)
            with new.open("w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise MailSystemError(f"KumoMTA: {path} cannot be written ({error.strerror}).") from error
        return True

    async def _suspend(self, client: httpx.AsyncClient, routes: Routes) -> list[str]:
        """Scheduled queues: a sender is a tenant; no criteria cover all mail. Mail in ready queues is held, too."""
        wanted: dict[Criteria, str] = {}
        if why := routes.stopped(Party()):
            wanted[None, None] = why
        for scope, name in routes.pauses:
            if scope == Scope.SENDER:
                wanted[None, name] = routes.stopped(Party(sender=name))
            elif scope == Scope.CAMPAIGN:
                wanted[name, None] = routes.stopped(Party(sender=routes.campaigns.get(name), campaign=name))
        did, held = [], set()
        stale: list[tuple[str, Criteria]] = []
        for one in await self._listed(client, _SUSPEND):
            criteria = one.get("campaign"), one.get("tenant")
            if not one["reason"].startswith(OURS) or one.get("domain") is not None:
                continue
            if criteria not in wanted:
                stale.append((one["id"], criteria))
            elif one["reason"] == OURS + wanted[criteria] and seconds(one["duration"]) > self._keep / 2:
                held.add(criteria)
        for criteria in sorted(set(wanted) - held, key=repr):
            campaign, tenant = criteria
            body = {"reason": OURS + wanted[criteria], "duration": f"{round(self._keep)}s"}
            body |= {key: one for key, one in (("campaign", campaign), ("tenant", tenant)) if one is not None}
            await self._call(client, "POST", _SUSPEND, body)
            did.append(f"suspended {_whose(criteria)}: {wanted[criteria]}")
        for identity, criteria in stale:
            await self._call(client, "DELETE", _SUSPEND, {"id": identity})
            did.append(f"released {_whose(criteria)}")
        return did

    async def _close(self, client: httpx.AsyncClient, routes: Routes) -> list[str]:
        """Ready queues ``SOURCE->SITE@PROTOCOL`` of IPs that may send nothing."""
        open_ = {transport_name(one) for one in open_exits(routes)}
        names = {transport_name(one): one for one in [*routes.exits, *(one.address for one in self._sources or [])]}
        wanted: dict[str, str] = {}
        for queue in _ready_queues(await self._call(client, "GET", _METRICS)):
            source = queue.partition("->")[0]
            if source.startswith("wp-") and source not in open_:
                address = names.get(source)
                wanted[queue] = routes.closed(address) if address else f"{source} is no source any more"
        did, held = [], set()
        stale: list[tuple[str, str]] = []
        for one in await self._listed(client, _READY):
            if not one["reason"].startswith(OURS):
                continue
            source = one["name"].partition("->")[0]
            if source in open_:
                stale.append((one["id"], one["name"]))
            elif seconds(one["duration"]) > self._keep / 2:
                held.add(one["name"])
        for queue in sorted(set(wanted) - held):
            body = {"name": queue, "reason": OURS + wanted[queue], "duration": f"{round(self._keep)}s"}
            await self._call(client, "POST", _READY, body)
            did.append(f"suspended ready queue {queue}: {wanted[queue]}")
        for identity, queue in stale:
            await self._call(client, "DELETE", _READY, {"id": identity})
            did.append(f"released ready queue {queue}")
        return did

    async def _listed(self, client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
        found = await self._call(client, "GET", path)
        keys = {"id", "reason", "duration"} | ({"name"} if path == _READY else set())
        if not isinstance(found, list) or not all(isinstance(one, dict) and keys <= one.keys() for one in found):
            raise MailSystemError(f"KumoMTA answers {path} with something else than documented.")
        return found

    async def _call(self, client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
        """One call; what it answers as JSON, or None.

        Raises:
            MailSystemError: it refuses or does not answer. Nothing of the address's user or password is in it.
        """
        try:
            answer = await client.request(method, path, json=body)
        except httpx.HTTPError as error:
            what = type(error).__name__
            raise MailSystemError(f"KumoMTA does not answer {method} {path} ({what}); is it running?") from error
        if method == "DELETE" and answer.status_code == httpx.codes.NOT_FOUND:
            return None  # It has ended by itself.
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise MailSystemError(
                f"KumoMTA refuses {method} {path} ({answer.status_code}): trust this host, or set "
                "WARMPATH_KUMOMTA_USER and WARMPATH_KUMOMTA_PASSWORD."
            )
        if not answer.is_success:
            raise MailSystemError(f"KumoMTA answers {answer.status_code} to {method} {path}.")
        if method != "GET":
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise MailSystemError(f"KumoMTA answers {method} {path} with something that is no JSON.") from error


def _ready_queues(metrics: Any) -> list[str]:
    """The ready queues that there are: labels ``PROTOCOL:QUEUE`` of the gauge of their mails.

    Raises:
        MailSystemError: no metrics of KumoMTA.
    """
    if not isinstance(metrics, dict):
        raise MailSystemError(f"KumoMTA answers {_METRICS} with something else than documented.")
    gauge = metrics.get("ready_count")
    if gauge is None:
        return []  # It has sent nothing since its start.
    value = gauge.get("value") if isinstance(gauge, dict) else None
    services = value.get("service") if isinstance(value, dict) else None
    if not isinstance(services, dict):
        raise MailSystemError(f"KumoMTA answers {_METRICS} with something else than documented.")
    # A label without a colon is the sum of its protocol.
    return sorted({queue for _, colon, queue in (label.partition(":") for label in services) if colon})


def _whose(criteria: Criteria) -> str:
    campaign, tenant = criteria
    if campaign is not None:
        return f"campaign {campaign}"
    return f"sender {tenant}" if tenant is not None else "all mail"
