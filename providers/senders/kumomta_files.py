"""The files that KumoMTA reads: sources and pools, senders as tenants, and rates from caps.

Shapes as KumoMTA's documentation gives them for its policy helpers ``sources.lua``, ``queue.lua`` and ``shaping.lua``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping

from domain.mailbox import MX_SUFFIXES
from domain.routing import transport_name
from domain.sources import Source
from domain.words import MailboxProvider

SOURCES, QUEUES, SHAPING = "sources.toml", "queues.toml", "shaping.toml"
_NOTE = "# Made by `warmpath mail-systems follow`; what is changed here is overwritten.\n"
#: One mail at a time, evenly over the period: without it a whole day's rate could be spent at once, and then again.
_EVEN = "max_burst=1"


def _quoted(text: str) -> str:
    """A TOML string; those of JSON are such, but for the one control character that JSON leaves alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def sources_toml(sources: Iterable[Source], pools: Collection[str], open_: Collection[str]) -> str:
    """Sources by name, and pools with a weight a source.

    Args:
        pools: every pool, also one without an IP: mail of a pool that KumoMTA does not know is an error there.
        open_: addresses that mail may leave by; the others have weight 0, which takes them out of the choice.
    """
    known = sorted(sources, key=lambda one: one.address)
    parts = [_NOTE]
    for one in known:
        parts.append(
            f"\n[source.{_quoted(transport_name(one.address))}]\n"
            f"source_address = {_quoted(one.bind_address)}\nehlo_domain = {_quoted(one.hostname)}\n"
        )
    for pool in sorted({*pools, *(one.pool for one in known)}):
        parts.append(f"\n[pool.{_quoted(pool)}]\n")
        for one in known:
            if one.pool == pool:
                weight = one.today if one.address in open_ else 0
                parts.append(f"[pool.{_quoted(pool)}.{_quoted(transport_name(one.address))}]\nweight = {weight}\n")
    return "".join(parts)


def queues_toml(senders: Mapping[str, str]) -> str:
    """Senders as tenants, each with its pool."""
    parts = [f"\n[tenant.{_quoted(one)}]\negress_pool = {_quoted(senders[one])}\n" for one in sorted(senders)]
    return _NOTE + "".join(parts)


def shaping_toml(sources: Iterable[Source]) -> str:
    """Rates of each source for each mailbox provider that its MX tells.

    The day's rate counts at the choice of the source, the hour's at the try. A name shared by the blocks of a source
    lets them spend one allowance: the cap of the day is one for all of these providers.
    """
    known = [one for one in sorted(sources, key=lambda one: one.address) if one.today > 0]
    parts = [_NOTE]
    for provider in MailboxProvider:
        suffixes = [suffix for suffix, found in MX_SUFFIXES.items() if found is provider]
        if not suffixes:
            continue
        block = f"provider.{_quoted(f'warmpath-{provider}')}"
        match = ", ".join(f"{{ MXSuffix = {_quoted('.' + suffix)} }}" for suffix in suffixes)
        parts.append(f"\n[{block}]\nmatch = [{match}]\n")
        parts += [f"[{block}.sources.{_quoted(transport_name(one.address))}]\n{_rates(one, provider)}" for one in known]
    return "".join(parts)


def _rates(one: Source, provider: MailboxProvider) -> str:
    name = f"warmpath-{transport_name(one.address)}"
    days = {name: one.today}
    own = dict(one.provider_caps).get(provider)
    if own is not None:
        # A rate of nothing cannot be written; one mail in the day is the least.
        days[f"{name}-{provider}"] = max(1, own)
    text = f"additional_source_selection_rates = {_table(days, 'd')}\n"
    if one.hourly_cap > 0:
        text += f"additional_message_rate_throttles = {_table({name + '-hour': one.hourly_cap}, 'h')}\n"
    return text


def _table(rates: Mapping[str, int], period: str) -> str:
    return "{ " + ", ".join(f'{_quoted(key)} = "{count}/{period},{_EVEN}"' for key, count in rates.items()) + " }"
