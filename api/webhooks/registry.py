"""Every source of events by its name in the address; a new one is a file and a line here."""

from __future__ import annotations

from api.webhooks import (
    alertmanager,
    generic,
    grafana,
    kumomta,
    mailgun,
    postmark,
    sendgrid,
    ses,
    sparkpost,
)
from api.webhooks.reading import Rejected
from api.webhooks.source import Source
from settings import Settings

SOURCES: dict[str, Source] = {
    "alertmanager": alertmanager,
    "generic": generic,
    "grafana": grafana,
    "kumomta": kumomta,
    "mailgun": mailgun,
    "postmark": postmark,
    "sendgrid": sendgrid,
    "ses": ses,
    "sparkpost": sparkpost,
}


#: Ways in that bring no events of mail, and so have a route of their own.
BESIDE = ("stripe",)


def known(name: str, beside: tuple[str, ...] = ()) -> Source:
    """The source of a name; ``beside`` are names that the refusal lists too.

    Raises:
        Rejected: there is none.
    """
    source = SOURCES.get(name)
    if source is None:
        raise Rejected(
            f"There is no webhook {name[:40]!r}; choose from {', '.join(sorted([*SOURCES, *beside]))}.",
            status=404,
            code="unknown_source",
        )
    return source


def opened(name: str, settings: Settings) -> Source:
    """The source of a name, if this installation has its secret.

    Raises:
        Rejected: there is none, or it has no key yet; to whoever asks from outside both are the same 404.
    """
    source = known(name, BESIDE)
    if not getattr(settings, source.SETTING):
        raise Rejected(
            f"The webhook {name} is not there yet: it has no key. Set WARMPATH_{source.SETTING.upper()}.",
            status=404,
            code="not_configured",
        )
    return source
