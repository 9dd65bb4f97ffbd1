"""What a reply can be about, one spelling for rules, events, console and scripts."""

from __future__ import annotations

from enum import StrEnum


class Class(StrEnum):
    """What the receiving side says. The first two are the events of an IP."""

    IP_BLOCKED = "ip_blocked"
    IP_THROTTLED = "ip_throttled"
    DOMAIN_BLOCKED = "domain_blocked"
    CONTENT = "content"
    AUTHENTICATION = "authentication"
    SENDER_SETUP = "sender_setup"
    SENDER_REFUSED = "sender_refused"
    POLICY = "policy"
    UNKNOWN_USER = "unknown_user"
    UNKNOWN_DOMAIN = "unknown_domain"
    INACTIVE = "inactive"
    MAILBOX_FULL = "mailbox_full"
    RATE_LIMITED = "rate_limited"
    GREYLISTED = "greylisted"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    RELAY_DENIED = "relay_denied"
    TLS = "tls"
    LOGIN = "login"
    PROTOCOL = "protocol"
    RECEIVER_FAULT = "receiver_fault"
    LOOP = "loop"
    NETWORK = "network"
    EXPIRED = "expired"
    LOCAL = "local"
    ACCEPTED = "accepted"
    OTHER = "other"


class Object(StrEnum):
    """Whose fault or property it is: an event of an IP is about ``ip`` or ``netblock``."""

    IP = "ip"
    NETBLOCK = "netblock"
    DOMAIN = "domain"
    DKIM_DOMAIN = "dkim_domain"
    SPF_DOMAIN = "spf_domain"
    HELO = "helo"
    PTR = "ptr"
    URL = "url"
    MESSAGE_ID = "message_id"
    MESSAGE = "message"
    SENDER = "sender"
    MAILBOX = "mailbox"
    RECIPIENT_DOMAIN = "recipient_domain"
    CONNECTION = "connection"
    RECEIVER = "receiver"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """Whether trying again helps: as usual, only after time or a change, or never."""

    YES = "yes"
    AFTER = "after"
    NO = "no"


#: Classes that are an event of the sending IP.
IP_EVENTS = frozenset({Class.IP_BLOCKED, Class.IP_THROTTLED})

#: Classes that mean a dead address, when the reply is permanent. All others are no hard bounce, 5xx or not.
DEAD_ADDRESS = frozenset({Class.UNKNOWN_USER, Class.UNKNOWN_DOMAIN, Class.INACTIVE})

#: What a class is about unless the rule says it more exactly.
OBJECT_OF = {
    Class.IP_BLOCKED: Object.IP,
    Class.IP_THROTTLED: Object.IP,
    Class.DOMAIN_BLOCKED: Object.DOMAIN,
    Class.CONTENT: Object.MESSAGE,
    Class.AUTHENTICATION: Object.DOMAIN,
    Class.SENDER_SETUP: Object.PTR,
    Class.SENDER_REFUSED: Object.SENDER,
    Class.POLICY: Object.RECIPIENT_DOMAIN,
    Class.UNKNOWN_USER: Object.MAILBOX,
    Class.UNKNOWN_DOMAIN: Object.RECIPIENT_DOMAIN,
    Class.INACTIVE: Object.MAILBOX,
    Class.MAILBOX_FULL: Object.MAILBOX,
    Class.RATE_LIMITED: Object.CONNECTION,
    Class.GREYLISTED: Object.CONNECTION,
    Class.TOO_LARGE: Object.MESSAGE,
    Class.MALFORMED: Object.MESSAGE,
    Class.RELAY_DENIED: Object.RECIPIENT_DOMAIN,
    Class.TLS: Object.CONNECTION,
    Class.LOGIN: Object.SENDER,
    Class.PROTOCOL: Object.CONNECTION,
    Class.RECEIVER_FAULT: Object.RECEIVER,
    Class.LOOP: Object.RECIPIENT_DOMAIN,
    Class.NETWORK: Object.RECEIVER,
    Class.EXPIRED: Object.MESSAGE,
    Class.LOCAL: Object.LOCAL,
}

#: Temporary replies that the ordinary queue schedule does not solve.
PATIENCE = frozenset(
    {
        *(Class.IP_BLOCKED, Class.IP_THROTTLED, Class.DOMAIN_BLOCKED, Class.RATE_LIMITED, Class.AUTHENTICATION),
        *(Class.SENDER_SETUP, Class.MAILBOX_FULL, Class.TLS, Class.LOGIN),
    }
)  # fmt: skip

#: Permanent replies that may be lifted: by time, by a delisting, by putting the own set-up right.
CURABLE = frozenset(
    {
        *(Class.IP_BLOCKED, Class.IP_THROTTLED, Class.DOMAIN_BLOCKED, Class.RATE_LIMITED, Class.AUTHENTICATION),
        *(Class.SENDER_SETUP, Class.MAILBOX_FULL, Class.TLS, Class.LOGIN, Class.RECEIVER_FAULT, Class.GREYLISTED),
        *(Class.NETWORK, Class.EXPIRED, Class.LOOP, Class.LOCAL),
    }
)  # fmt: skip
