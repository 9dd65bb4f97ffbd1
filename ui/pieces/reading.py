"""What a reply of a mail server was read as, in words: what it means, what it is about, what to do."""

from __future__ import annotations

from typing import Any

from ui.client import JsonValue
from ui.pieces import words

#: Class to (sign, label, what the other side says, what to do). ``✕`` stops mail of an IP, ``△`` is to be put
#: right by somebody here, ``–`` is about one recipient, ``…`` passes by itself.
CLASSES: dict[str, tuple[str, str, str, str]] = {
    "ip_blocked": ("✕", "IP blocked", "The IP or its network is refused", "Mail of the IP stops at once."),
    "ip_throttled": ("△", "IP slowed", "The IP is slowed for its reputation or its rate", "The ramp steps back."),
    "domain_blocked": (
        "△", "Domain blocked", "The sending domain, the DKIM or SPF domain or the HELO name has a bad name",
        "Another IP does not help.",
    ),
    "content": ("△", "Content", "The message, a link or an attachment is refused", "Change the message."),
    "authentication": ("△", "Authentication", "SPF, DKIM or DMARC fails", "Repair DNS; another IP does not help."),
    "sender_setup": ("△", "Sender set-up", "PTR, HELO or the sender's domain in DNS is wrong", "Repair DNS."),
    "sender_refused": (
        "△", "Sender refused", "The sender's address or account is refused", "Ask who runs the other side.",
    ),
    "policy": ("–", "Policy", "The recipient or their domain wants no such mail", "Ask the recipient."),
    "unknown_user": ("–", "Unknown user", "There is no such mailbox", "Take the address off the list."),
    "unknown_domain": ("–", "Unknown domain", "There is no such domain", "Take the address off the list."),
    "inactive": ("–", "Inactive", "The mailbox is not used any more", "Take the address off the list."),
    "mailbox_full": ("…", "Mailbox full", "The mailbox is full", "Wait."),
    "rate_limited": ("…", "Rate limited", "Too much in a short time, whoever sends it", "Wait."),
    "greylisted": ("…", "Greylisted", "Everybody unknown is asked to come again", "Wait."),
    "too_large": ("△", "Too large", "The message is too large", "Make it smaller."),
    "malformed": ("△", "Malformed", "The message breaks a rule of mail", "Repair the message."),
    "relay_denied": ("△", "Relay denied", "That server takes no mail for this domain", "Look at the domain's MX."),
    "tls": ("△", "TLS", "The encryption could not be agreed on", "Repair the mail system's TLS."),
    "login": ("△", "Login", "The mail system must log in first", "Repair the mail system's set-up."),
    "protocol": ("△", "Protocol", "The conversation broke a rule", "Repair the mail system's set-up."),
    "receiver_fault": ("…", "Receiver's fault", "The other side has trouble of its own", "Wait, or tell them."),
    "loop": ("…", "Loop", "The mail goes in a circle on the other side", "Tell them."),
    "network": ("…", "Network", "The other side, or its DNS, cannot be reached", "Wait, or tell them."),
    "expired": ("△", "Expired", "The own mail system gave up trying", "Look at what it waited for."),
    "local": ("△", "Own mail system", "The own mail system says this itself", "Look there."),
    "accepted": ("✓", "Accepted", "The mail was taken", "Nothing is to be done."),
    "other": ("?", "Not known", "No rule knows these words", "Read them; write a rule of your own if they come often."),
}  # fmt: skip

#: Whether trying again helps: in a word, and in a sentence's part.
RETRIES: dict[str, tuple[str, str]] = {
    "yes": ("Yes", "yes, as usual"),
    "after": ("Later", "only after time, a delisting or a repair"),
    "no": ("No", "no"),
}

_OBJECTS: dict[str, str] = {
    "ip": "the IP",
    "netblock": "the IP's network",
    "dkim_domain": "the DKIM domain",
    "spf_domain": "the SPF domain",
    "domain": "the sending domain",
    "helo": "the HELO name",
    "ptr": "the PTR record",
    "url": "a link in the message",
    "message_id": "the Message-ID",
    "local": "the own mail system",
    "receiver": "the other side",
    "unknown": "not known",
}


def label(reading: dict[str, Any]) -> str:
    """The class with its sign: ``✕ IP blocked``."""
    sign, said, _, _ = _of(reading)
    return f"{sign} {said}"


def named(class_: str) -> str:
    """The label of a class by its name."""
    return label({"class": class_})


def meaning(reading: dict[str, Any]) -> str:
    """What the other side says and what to do: ``The mailbox is full. Wait.``"""
    _, _, said, advice = _of(reading)
    return f"{said}. {advice}"


def about(reading: dict[str, Any]) -> str:
    """What the reply is about: ``the IP's network``."""
    name = str(reading.get("object") or "unknown")
    return _OBJECTS.get(name) or f"the {name.replace('_', ' ')}"


def retry(reading: dict[str, Any]) -> str:
    """Whether trying again helps, in a word."""
    name = str(reading.get("retry"))
    return RETRIES[name][0] if name in RETRIES else words.spoken(name)


def retry_told(reading: dict[str, Any]) -> str:
    """Whether trying again helps: ``only after time, a delisting or a repair``."""
    name = str(reading.get("retry"))
    return RETRIES[name][1] if name in RETRIES else words.spoken(name)


def code(reading: dict[str, Any]) -> str:
    """Reply code and enhanced code: ``550 5.7.1``; a dash when the text has neither."""
    return " ".join(str(reading[name]) for name in ("code", "status") if reading.get(name)) or "–"


def rule(reading: dict[str, Any]) -> str:
    """The rule that said so; a dash when none did."""
    return str(reading.get("rule") or "–")


def provider(name: JsonValue) -> str:
    """A mailbox provider as a person calls it; ``other`` are all smaller ones."""
    return {"other": "Others", "": "Not known", None: "Not known"}.get(name) or words.spoken(name)


def ip_event(reading: dict[str, Any]) -> str:
    """Whether it counts against the sending IP."""
    return "Yes" if reading.get("ip_event") else "No"


def exported(one: dict[str, Any]) -> dict[str, Any]:
    """One reply of the list as a row of the export."""
    read = one.get("reading") or {}
    shares = {
        label: "; ".join(f"{part['name'] or 'not named'} ({part['count']})" for part in one[name]["parts"])
        for label, name in (
            ("Providers", "providers"), ("IPs", "ips"), ("Senders", "senders"), ("Campaigns", "campaigns"),
        )
    }  # fmt: skip
    return {
        "Mails": one.get("count"),
        "Class": read.get("class"),
        "IP event": ip_event(read),
        "Retry": read.get("retry"),
        "About": read.get("object"),
        "Code": read.get("code"),
        "Enhanced code": read.get("status"),
        "Speaks": read.get("provider"),
        "Rule": read.get("rule"),
        "First seen": one.get("first_seen"),
        "Last seen": one.get("last_seen"),
        **shares,
        "Number of IPs": one["ips"]["of"],
        "Reply": one.get("template"),
        "Example": one.get("example"),
    }


def _of(reading: dict[str, Any]) -> tuple[str, str, str, str]:
    name = str(reading.get("class") or "other")
    return CLASSES.get(name) or ("?", words.spoken(name), "No words are known for this here", "Read the reply.")
