"""The words of the field, one spelling for every layer."""

from enum import StrEnum

#: The pool of every IP that names none; it is there from the start.
DEFAULT_POOL = "default"


class IpType(StrEnum):
    """Who sends from an IP: one tenant, or many."""

    DEDICATED = "dedicated"
    SHARED = "shared"


class Stage(StrEnum):
    """Where an IP's journey stands."""

    SELECTED = "selected"
    PURCHASING = "purchasing"
    AWAITING_DNS = "awaiting_dns"
    ACTIVE = "active"
    WARMING = "warming"
    FULL_CAPACITY = "full_capacity"
    AT_RISK = "at_risk"
    RECOVERING = "recovering"
    QUARANTINED = "quarantined"
    FAILED_OVER = "failed_over"
    RETIRED = "retired"


class OrderStatus(StrEnum):
    """Where an order stands. ``quoting`` lasts seconds: candidates are being vetted."""

    QUOTING = "quoting"
    QUOTED = "quoted"
    WAITLISTED = "waitlisted"
    PURCHASING = "purchasing"
    PURCHASED = "purchased"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class MailboxProvider(StrEnum):
    """Where recipients live, decided by the MX of their domain."""

    GMAIL = "gmail"
    MICROSOFT = "microsoft"
    YAHOO = "yahoo"
    APPLE = "apple"
    OTHER = "other"


class Band(StrEnum):
    """Colour of a score or a load; unknown is never shown as good."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    UNKNOWN = "unknown"


class CampaignState(StrEnum):
    """Whether mail of a campaign goes, waits, or is over."""

    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"


class Actor(StrEnum):
    """Who must act next for a journey to go on."""

    NOBODY = "nobody"
    OPERATOR = "operator"
    REGISTRAR = "registrar"
    VENDOR = "vendor"
    TIME = "time"


class Role(StrEnum):
    """What a token may do; each includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Outcome(StrEnum):
    """What became of a command in the audit. One that is only ``asked`` may have been done: its journey knows."""

    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"


class Severity(StrEnum):
    """How urgent an incident is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


_SOURCES = {
    "alertmanager": "Alertmanager",
    "generic": "your own monitoring",
    "grafana": "Grafana",
    "kumomta": "KumoMTA",
    "mail": "a report by mail",
    "mailgun": "Mailgun",
    "postfix": "the log of Postfix",
    "postmark": "Postmark",
    "sendgrid": "SendGrid",
    "ses": "Amazon SES",
    "sparkpost": "SparkPost",
}


def source_named(source: str) -> str:
    """Who told of an event as an operator calls it; by its own name where it has no other."""
    return _SOURCES.get(source, source)
