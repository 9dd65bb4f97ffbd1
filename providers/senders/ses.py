"""Amazon SES (API v2): dedicated IPs in pools, how far each is warmed, and configuration sets that pauses disable.

SES chooses the IP of a mail among those of the pool that the mail's configuration set names. So an IP that may send
nothing is moved into a pool that no set names, and a set whose sender, pool or campaign may send nothing is disabled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from domain.routing import Routes, Scope
from domain.silence import open_exits, why_silent
from domain.sources import Source
from providers.senders.port import MailSystemError
from settings import Settings

#: SES answers some calls once a second at most; botocore waits, longer each time, and asks again.
PATIENCE = Config(retries={"mode": "standard", "total_max_attempts": 6}, connect_timeout=5, read_timeout=15)
#: IPs of a managed pool, which SES itself warms up and moves.
MANAGED = "NOT_APPLICABLE"
SETTING = "WARMPATH_SES_CONFIGURATION_SETS"
_SCOPES = (Scope.SENDER, Scope.POOL, Scope.CAMPAIGN)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A configuration set, and whose pause disables it."""

    scope: Scope
    name: str
    set_name: str


def mapped(text: str) -> Mapped:
    """One entry of the setting, such as ``sender/acme=acme-set``.

    Raises:
        MailSystemError: it is none.
    """
    whose, equals, set_name = (part.strip() for part in text.partition("="))
    if equals and set_name and whose == Scope.ALL:
        return Mapped(Scope.ALL, "", set_name)
    scope, _, name = whose.partition("/")
    if equals and set_name and name and scope in _SCOPES:
        return Mapped(Scope(scope), name, set_name)
    raise MailSystemError(
        f"{SETTING}: {text!r} is no entry; write sender/NAME=SET, pool/NAME=SET, campaign/NAME=SET or all=SET."
    )


class Ses:
    """The dedicated IPs of one account and region.

    Args:
        client: makes a client of botocore's service ``sesv2``; called once, in a thread.
        look_seconds: how long what was done is believed when nothing changed; SES limits how often it is asked.
    """

    name = "ses"

    def __init__(
        self,
        client: Callable[[], Any],
        sets: Sequence[str] = (),
        prefix: str = "warmpath-",
        closed_pool: str = "warmpath-closed",
        look_seconds: float = 60.0,
    ) -> None:
        self._make, self._client = client, None
        self._sets = [mapped(one) for one in sets]
        self._prefix, self._closed_pool, self._look = prefix, closed_pool, look_seconds
        self._sources: list[Source] | None = None
        self._routes: Routes | None = None
        self._done: tuple[list[Source] | None, str] | None = None
        self._done_at = 0.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Ses:
        """The account by AWS's own chain of credentials, in the region of the settings."""
        return cls(
            lambda: boto3.client(
                "sesv2", region_name=settings.aws_region, endpoint_url=settings.aws_endpoint_url, config=PATIENCE
            ),
            settings.ses_configuration_sets,
            settings.ses_pool_prefix,
            settings.ses_closed_pool,
            settings.mail_systems_follow_seconds,
        )

    async def apply(self, sources: Sequence[Source]) -> list[str]:
        """Make the pools, set how far each IP is warmed, and place IPs once the routes are known."""
        self._sources = list(sources)
        return await self._reconciled()

    async def follow(self, routes: Routes, changed_at: float) -> list[str]:
        """Disable or enable configuration sets, and move IPs out of their pools or back."""
        self._routes = routes
        return await self._reconciled()

    async def _reconciled(self) -> list[str]:
        routes = self._routes
        wanted = (self._sources, routes.fingerprint() if routes else "")
        if wanted == self._done and time.monotonic() - self._done_at < self._look:
            return []
        self._done = None
        did: list[str] = []
        try:
            await asyncio.to_thread(self._reconcile, self._sources, routes, did)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "an error")
            raise MailSystemError(_failed(f"Amazon SES answers {code} to {error.operation_name}", did)) from error
        except BotoCoreError as error:
            raise MailSystemError(_failed(f"Amazon SES does not answer ({type(error).__name__})", did)) from error
        self._done, self._done_at = wanted, time.monotonic()
        return did

    def _reconcile(self, sources: list[Source] | None, routes: Routes | None, did: list[str]) -> None:
        """Change what differs. What stops mail comes first, what lets it flow last."""
        ses = self._client = self._client or self._make()
        ips = {one["Ip"]: one for one in _pages(ses.get_dedicated_ips, "DedicatedIps")}
        ours = {address: one for address, one in ips.items() if one["WarmupStatus"] != MANAGED}
        here = [one for one in sources or () if one.address in ours]
        if any(self._prefix + one.pool == self._closed_pool for one in here):
            raise MailSystemError(f"WARMPATH_SES_CLOSED_POOL: {self._closed_pool} is the name of a pool that sends.")
        may_send = set(ours) if sources is None else {one.address for one in here if one.today > 0}
        silent = self._silent(routes, may_send) if routes else {}
        self._switch(ses, {name: why for name, why in silent.items() if why}, did)
        self._make_pools(ses, here, did)
        known = routes is not None and sources is not None
        places = self._places(here, ours, open_exits(routes) & may_send) if known and routes else {}
        self._move(ses, {one: pool for one, pool in places.items() if pool == self._closed_pool}, ours, did)
        for one in here:
            if ours[one.address]["WarmupPercentage"] != one.warmed_percent:
                ses.put_dedicated_ip_warmup_attributes(Ip=one.address, WarmupPercentage=one.warmed_percent)
                did.append(f"set {one.address} to {one.warmed_percent} % warmed")
        self._move(ses, {one: pool for one, pool in places.items() if pool != self._closed_pool}, ours, did)
        self._switch(ses, {name: why for name, why in silent.items() if not why}, did)

    def _silent(self, routes: Routes, held: set[str]) -> dict[str, str]:
        """Each configuration set and why it is disabled; empty for one that is enabled."""
        found: dict[str, str] = {}
        for one in self._sets:
            why = why_silent(routes, one.scope, one.name, held)
            found[one.set_name] = found.get(one.set_name) or why
        return found

    def _switch(self, ses: Any, sets: dict[str, str], did: list[str]) -> None:
        for name, why in sets.items():
            options = ses.get_configuration_set(ConfigurationSetName=name).get("SendingOptions", {})
            if options.get("SendingEnabled", True) == bool(why):
                ses.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=not why)
                did.append(f"disabled configuration set {name}: {why}" if why else f"enabled configuration set {name}")

    def _make_pools(self, ses: Any, here: list[Source], did: list[str]) -> None:
        wanted = {self._prefix + one.pool for one in here} | ({self._closed_pool} if here else set())
        for pool in sorted(wanted - set(_pages(ses.list_dedicated_ip_pools, "DedicatedIpPools"))):
            try:
                ses.create_dedicated_ip_pool(PoolName=pool, ScalingMode="STANDARD")
            except ses.exceptions.AlreadyExistsException:  # another process that follows was faster
                continue
            did.append(f"made dedicated IP pool {pool}")

    def _places(self, here: list[Source], ours: dict[str, Any], open_: set[str]) -> dict[str, str]:
        """The pool that each IP belongs into; IPs that are nobody's here and in none of our pools stay."""
        left = {one: self._closed_pool for one, ip in ours.items() if ip.get("PoolName", "").startswith(self._prefix)}
        known = {one.address: self._prefix + one.pool if one.address in open_ else self._closed_pool for one in here}
        return left | known

    def _move(self, ses: Any, places: dict[str, str], ours: dict[str, Any], did: list[str]) -> None:
        for address, pool in sorted(places.items()):
            if ours[address].get("PoolName") != pool:
                ses.put_dedicated_ip_in_pool(Ip=address, DestinationPoolName=pool)
                did.append(f"moved {address} into dedicated IP pool {pool}")


def _pages(call: Callable[..., Any], key: str) -> list[Any]:
    """What a call lists, all pages of it."""
    answer = call()
    found = list(answer.get(key, []))
    while token := answer.get("NextToken"):
        answer = call(NextToken=token)
        found += answer.get(key, [])
    return found


def _failed(what: str, did: list[str]) -> str:
    return f"{what}; {'done before: ' + '; '.join(did) if did else 'nothing was changed'}."
