"""What waits in Postfix's queue, and how a message is put back to be resolved anew.

Measured with Postfix 3.7: a message that a policy answer bound to a transport (``FILTER``) keeps it at every
try. ``postsuper -r`` puts it back through ``pickup``, which drops the binding; ``pickup`` looks once a minute unless
it is woken. A message that is put back while it is being delivered arrives twice, so one whose file a
delivery agent has locked is left: it is gone or waits a moment later.
"""

from __future__ import annotations

import calendar
import contextlib
import fcntl
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path

from domain.queued import Queued
from providers.senders.postfix_host.commands import attempt, run

#: Messages of one look, and of one return: the first leave while the others are still read.
AT_ONCE = 200


async def messages(config: Path) -> AsyncIterator[list[Queued]]:
    """What is in the queue, some hundreds at a time; mail on hold is the operator's and is left out."""
    listed = [json.loads(line) for line in (await run(config, "postqueue", "-j")).splitlines() if line.strip()]
    waiting = {one["queue_id"]: one for one in listed if one["queue_name"] in ("active", "deferred", "incoming")}
    names = list(waiting)
    for start in range(0, len(names), AT_ONCE):
        chunk = names[start : start + AT_ONCE]
        envelopes = await _envelopes(config, chunk)
        yield [
            Queued(
                id=name,
                sender="" if waiting[name]["sender"] == "MAILER-DAEMON" else waiting[name]["sender"],
                login=envelopes[name].get("sasl_username", ""),
                transport=envelopes[name].get("content_filter", "").partition(":")[0],
                waits=waiting[name]["queue_name"] == "deferred",
                since=_seconds(envelopes[name].get("create_time", "")),
            )
            for name in chunk
            if name in envelopes
        ]


async def _envelopes(config: Path, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Attributes of messages by queue id; those that have left in the meantime are missing."""
    found: dict[str, dict[str, str]] = {}
    while names:
        code, text, _ = await attempt(config, "postcat", "-eq", *names, utc=True)
        shown = dict(_read(text))
        found |= shown
        # postcat ends at the first message that is not there any more.
        names = names[len(shown) + 1 :] if code else []
    return found


def _read(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Queue id and attributes of each message of ``postcat -e``."""
    for part in text.split("*** ENVELOPE RECORDS ")[1:]:
        lines = part.splitlines()
        found: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            if name in ("content_filter", "create_time"):
                found[name] = value
            elif name == "named_attribute" and value.startswith("sasl_username="):
                found["sasl_username"] = value.partition("=")[2]
        yield Path(lines[0].split()[0]).name, found


def _seconds(text: str) -> int:
    """Unix seconds of ``Tue Nov 24 08:23:29 2026`` in UTC; 0 when there is none."""
    try:
        return calendar.timegm(time.strptime(text.strip()))
    except ValueError:
        return 0


async def put_back(config: Path, folder: Path, chosen: Sequence[Queued]) -> int:
    """Put messages back to be resolved anew; answers how many. Those in delivery are left.

    Args:
        folder: Postfix's ``queue_directory``.
    """
    with contextlib.ExitStack() as held:
        names = list(_free(folder, chosen, held))
        if names:
            await run(config, "postsuper", "-r", "-", given="\n".join(names) + "\n")
    if names:
        await run(config, "postkick", "public", "pickup", "W")
    return len(names)


def _free(folder: Path, chosen: Iterable[Queued], held: contextlib.ExitStack) -> Iterator[str]:
    for one in chosen:
        if not one.waits:
            try:
                file = held.enter_context((folder / "active" / one.id).open("rb"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                if not (folder / "incoming" / one.id).exists():
                    continue
            except BlockingIOError:
                continue
        yield one.id
