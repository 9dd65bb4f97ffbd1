"""What is true of the replies that others collected: by their own columns and lists of codes, never by our classifier.

Labels of *IP event* follow these steps, the first that speaks decides:

1. Two lists of codes and tokens whose object the provider's own documentation names: the IP, or something else.
2. smtp_field_manual: the ``description`` column. It says yes when it blames the sending IP (blocked, listed, low
   reputation, slowed), no when it blames anything else. It is *open* when it names the IP only as one of several
   possible causes; open lines are counted, not judged.
   sisimai_rhost_rules: the ``sisimai_reason`` column. *blocked* and *badreputation* are yes when the fragment
   names an IP or a network, no when it names something else, open when it names nothing; other reasons are no.
3. A line without a description: yes when its own words say that an IP or a host is blocked, listed or slowed.

Labels of *class* exist only where a column gives a reason (sisimai): several of our classes can agree with one
of its reasons, since it does not know the object.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CORPORA = Path(__file__).resolve().parents[1].parent / "shared" / "corpora"
MANUAL = CORPORA / "bounces" / "smtp_field_manual.csv"
SISIMAI = CORPORA / "bounces" / "sisimai_rhost_rules.csv"

#: Codes and tokens that providers document, as patterns over the whole line in lower case.
_NO = re.compile(
    r"5\.7\.513|\b5\.4\.1\b|\bph01\b|\bcs01\b|\bhm08\b|\bs800[12]\b|4\.7\.23|5\.7\.25\b|5\.7\.515|"
    r"query refused|open resolver|reputation of the sending domain|dkim domain|spf domain|url domain|same message-id"
)
_YES = re.compile(
    r"reputation of the sending ip|4\.7\.65[01]|\bs3140\b|\bs3150\b|\brp-00\d|5\.7\.6(0[6-9]|[1-4]\d)|5\.7\.511|"
    r"\btss04\b|\btss?03\b|\btss09\b|\btss11\b|\bbl2[13]\b|4\.7\.28.*(your ip|netblock)"
)
#: The words of a description that blames the IP itself.
_BLAMES_IP = re.compile(
    r"your ip has been blocked|sending ip address has a low reputation|sent over this ip|coming from the sender's ip|"
    r"your ip is in one of the block lists|checks the sending ip against|throttling your sending ip"
)
_ONE_OF_SEVERAL = re.compile(
    r"(sender|domain)('s)?( name)?(/| or |and/or )(the )?(sending )?ip\b|ip (being|is) a spam source"
)
_NAMES_IP = re.compile(r"\bips?\b|network|from your ip|client host|sending server")
_NAMES_OTHER = re.compile(
    r"domain|helo|recipient|sender|message-id|content|url|dmarc|spf|dkim|whitelist|ipv6|connection dropped|ptr record"
)
_SAYS_IP_BLOCKED = re.compile(
    r"(client|host|\bip)[^.]{0,40}(blocked|listed|banned|block for spam|limited)|"
    r"(blocked|banned|block for)[^.]{0,30}\b(ip|client|host|spam)\b"
)

#: Which of our classes agree with a reason of sisimai's.
AGREES = {
    "authfailure": {"authentication", "tls"},
    "badreputation": {"ip_blocked", "ip_throttled", "domain_blocked"},
    "blocked": {
        *("ip_blocked", "ip_throttled", "sender_setup", "policy", "rate_limited"),
        *("domain_blocked", "network", "sender_refused"),
    },
    "contenterror": {"malformed", "content", "protocol", "loop"},
    "exceedlimit": {"too_large", "rate_limited"},
    "expired": {"expired", "network", "receiver_fault"},
    "mailboxfull": {"mailbox_full", "rate_limited"},
    "mesgtoobig": {"too_large"},
    "networkerror": {"network", "loop", "unknown_domain", "receiver_fault"},
    "norelaying": {"relay_denied", "login", "unknown_domain"},
    "notaccept": {"receiver_fault", "unknown_domain", "policy"},
    "notcompliantrfc": {"malformed", "sender_refused", "unknown_user", "sender_setup"},
    "policyviolation": {"policy", "content", "malformed", "rate_limited"},
    "rejected": {"sender_refused", "policy", "sender_setup", "authentication"},
    "requireptr": {"sender_setup"},
    "securityerror": {"tls", "login", "relay_denied", "policy", "protocol"},
    "spamdetected": {"content", "domain_blocked"},
    "speeding": {"rate_limited", "ip_throttled", "sender_refused", "login"},
    "suspend": {"inactive", "policy"},
    "syntaxerror": {"protocol", "tls", "login"},
    "systemerror": {"receiver_fault", "rate_limited", "loop", "protocol", "sender_setup", "network", "unknown_user"},
    "systemfull": {"receiver_fault"},
    "toomanyconn": {"rate_limited"},
    "userunknown": {"unknown_user", "unknown_domain", "policy"},
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One labelled reply; ``ip_event`` is None when the columns leave it open."""

    provider: str
    text: str
    ip_event: bool | None
    agrees: frozenset[str] = frozenset()


def manual() -> Iterator[Line]:
    """Lines of the field manual."""
    with MANUAL.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            text, told = row["response"], row["description"].lower()
            yield Line(row["provider"], text, _of_policy(text) if _of_policy(text) is not None else _told(text, told))


def _of_policy(text: str) -> bool | None:
    words = text.lower()
    if _NO.search(words):
        return False
    return True if _YES.search(words) else None


def _told(text: str, told: str) -> bool | None:
    if told:
        if _BLAMES_IP.search(told):
            return True
        return None if _ONE_OF_SEVERAL.search(told) else False
    return _SAYS_IP_BLOCKED.search(text.lower()) is not None


def sisimai() -> Iterator[Line]:
    """Fragments of Google and Microsoft; a range of details becomes a line with its first and its last."""
    with SISIMAI.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            first, _, last = row["status_detail_range"].partition("-")
            for detail in {first, last} - {""} or {""}:
                status = f"{row['status_or_prefix']}{detail}"
                code = row["replycode"] or ("450" if status.startswith("4") else "550")
                text = f"{code} {status} {row['substring_lowercase']}"
                reason = row["sisimai_reason"]
                yield Line(row["provider"], text, _by_reason(text, reason), frozenset(AGREES[reason]))


def _by_reason(text: str, reason: str) -> bool | None:
    policy = _of_policy(text)
    if policy is not None:
        return policy
    words = text.lower()
    if reason in ("blocked", "badreputation", "speeding"):
        if _NAMES_OTHER.search(words):
            return False
        if _NAMES_IP.search(words):
            return True
        return None if reason != "speeding" else False
    return False
