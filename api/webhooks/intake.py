"""From a verified body to the store: events, sums and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx

from api.webhooks import generic, sendgrid, ses
from api.webhooks.reading import Rejected, document, mapping
from domain.events import Kind, MailEvent
from settings import Settings
from store import events as repository
from store import ips, ledger, outbox
from store.database import Database
from workflows.ids import ip_id, warmup_id


async def fetch(url: str) -> bytes:
    """What Amazon answers at a URL whose host was checked; no redirects, 5 seconds.

    Raises:
        OSError: it cannot be had.
    """
    try:
        async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
            return (await client.get(url)).raise_for_status().content
    except httpx.HTTPError as error:
        raise OSError(str(error) or type(error).__name__) from error


async def read(
    source: str,
    body: bytes,
    headers: Mapping[str, str],
    settings: Settings,
    *,
    now: float,
    fetcher: ses.Fetch = fetch,
) -> list[MailEvent]:
    """Verified events of a request.

    Args:
        headers: with names in lower case.
        now: epoch seconds.

    Raises:
        Rejected: forged, replayed, unreadable, an unknown source, or one that has no key yet.
    """
    if source == "sendgrid":
        key = settings.webhook_sendgrid_public_key
        if not key:
            raise _not_configured("WARMPATH_WEBHOOK_SENDGRID_PUBLIC_KEY")
        sendgrid.verify(body, headers, key, now)
        return sendgrid.events(body)
    if source == "generic":
        secret = settings.webhook_generic_secret
        if secret is None:
            raise _not_configured("WARMPATH_WEBHOOK_GENERIC_SECRET")
        message_id = generic.verify(body, headers, secret.get_secret_value(), now)
        return generic.events(body, message_id, now)
    if source == "ses":
        if not settings.webhook_ses_topic_arns:
            raise _not_configured("WARMPATH_WEBHOOK_SES_TOPIC_ARNS")
        message = await ses.verify(body, settings, fetcher, now)
        if message["Type"] == "SubscriptionConfirmation":
            await ses.confirm(message, fetcher)
        if message["Type"] != "Notification":
            return []
        return ses.events(
            mapping(
                document(str(message.get("Message", "")).encode("utf-8", "replace")),
                "Message",
            )
        )
    raise Rejected(
        f"There is no webhook {source[:40]!r}; post to sendgrid, ses or generic.",
        status=404,
        code="unknown_source",
    )


def _not_configured(setting: str) -> Rejected:
    return Rejected(
        f"This webhook has no key yet: set {setting}.",
        status=503,
        code="not_configured",
    )


async def store(
    db: Database, batch: Sequence[MailEvent], settings: Settings
) -> tuple[int, bool]:
    """Store what is new with its sums, and what must act at once with it; answers (new events, act now).

    Mail of an IP of ours that must stop is paused in the same transaction, so that it stops even while no
    worker runs; its journeys hear of it through the outbox.
    """
    if not batch:
        return 0, False
    async with db.write() as session:
        new = await repository.record(session, batch, day_seconds=settings.day_seconds)
        urgent = {event.address: event for event in new if event.stops_mail}
        for address, event in sorted(urgent.items()):
            what = "alert" if event.kind is Kind.ALERT else "reply that blocks the IP"
            reason = f"{what} from {event.source}: {event.detail or 'no text'}"[:500]
            if await ips.lock(session, address):
                await ledger.set_paused(session, address, True, reason)
            await outbox.put(
                session,
                "signal",
                warmup_id(address),
                "stop",
                {"reason": reason, "source": event.source},
            )
            await outbox.put(
                session,
                "signal",
                ip_id(address),
                "reputation_changed",
                {"reason": reason, "critical": True, "source": event.source},
            )
    return len(new), bool(urgent)
