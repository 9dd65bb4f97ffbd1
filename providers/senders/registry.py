"""Mail systems by name; a new one is a new file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from providers.senders.port import MailSystem
from providers.senders.postfix_host.system import Postfix
from settings import Settings


def _ses(settings: Settings) -> MailSystem:
    # boto3 takes half a second to import, and only this mail system needs it.
    from providers.senders.ses import Ses

    return Ses.from_settings(settings)


def _kumomta(settings: Settings) -> MailSystem:
    from providers.senders.kumomta import KumoMta

    return KumoMta.from_settings(settings)


MAKERS: dict[str, Callable[[Settings], MailSystem]] = {
    "postfix": lambda settings: Postfix(
        settings.postfix_config,
        f"{settings.postfix_gate_host}:{settings.gate_socketmap_port}",
        source_header=settings.postfix_source_header,
    ),
    "ses": _ses,
    "kumomta": _kumomta,
}


def mail_systems(settings: Settings) -> list[MailSystem]:
    """The mail systems of this machine or account.

    Raises:
        ValueError: a name without an adapter.
    """
    unknown = [name for name in settings.mail_systems if name not in MAKERS]
    if unknown:
        raise ValueError(f"WARMPATH_MAIL_SYSTEMS: no mail system {unknown[0]!r}; choose from {', '.join(MAKERS)}.")
    return [MAKERS[name](settings) for name in settings.mail_systems]
