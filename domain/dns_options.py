"""What an operator may ask for beyond the required records: MX, MTA-STS, TLS-RPT, BIMI.

All but the MX are optional records: receivers profit from them, and none ever holds an IP up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain import mta_sts
from domain.refusals import Refused

_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,63}", re.IGNORECASE)
_MAILTO = re.compile(r"mailto:[^\s@;,!]+@[^\s@;,!]+", re.IGNORECASE)
_HTTPS = re.compile(r"https://[^\s;,!/]+(/[^\s;,!]*)?", re.IGNORECASE)
_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)

Text = Annotated[str, Field(max_length=500)]


class MtaSts(BaseModel):
    """MTA-STS of the domain; the policy has to be hosted before its record is of use."""

    model_config = ConfigDict(extra="forbid")

    mode: mta_sts.Mode = mta_sts.Mode.TESTING
    max_age: int = Field(mta_sts.MAX_AGE, ge=0, le=mta_sts.LONGEST, description="Seconds that senders keep it.")
    mx: list[Text] | None = Field(
        None, max_length=50, description="Patterns of mail exchangers; null: those of the MX record."
    )


class Bimi(BaseModel):
    """A logo beside the mail (BIMI); mailbox providers ask for DMARC p=quarantine or p=reject first."""

    model_config = ConfigDict(extra="forbid")

    logo: Text = Field(description="https address of the logo, SVG Tiny PS.")
    certificate: Text | None = Field(None, description="https address of the mark certificate, PEM.")
    selector: Text = "default"


class DnsOptions(BaseModel):
    """Wishes for the DNS of a sending domain; what is null is left out."""

    model_config = ConfigDict(extra="forbid")

    mx: list[Text] | None = Field(
        None,
        max_length=20,
        description="Mail exchangers, as `HOST` or `PREFERENCE HOST`; null: what is there, or the IP.",
    )
    mta_sts: MtaSts | None = None
    tls_rpt: list[Text] | None = Field(
        None, min_length=1, max_length=10, description="Where TLS reports go: mail addresses, mailto: or https: URIs."
    )
    bimi: Bimi | None = None


def checked(options: DnsOptions, field: str = "options") -> DnsOptions:
    """The options in the form in which they are published.

    Args:
        field: how the caller spelled them, for messages.

    Raises:
        Refused: names the field and the fix.
    """
    sts = options.mta_sts
    if sts is not None and sts.mx is not None:
        policy = mta_sts.Policy(mode=sts.mode, max_age=sts.max_age, mx=sts.mx)
        try:
            mta_sts.parse_policy(policy.text())
        except Refused as refusal:
            raise Refused(refusal.detail, field=f"{field}.mta_sts.mx", code="mta_sts") from None
    tidied: dict[str, object] = {}
    if options.mx is not None:
        tidied["mx"] = [_mx(value, f"{field}.mx") for value in options.mx]
    if options.tls_rpt is not None:
        tidied["tls_rpt"] = [_report_uri(value, f"{field}.tls_rpt") for value in options.tls_rpt]
    if options.bimi is not None:
        tidied["bimi"] = _bimi(options.bimi, f"{field}.bimi")
    return options.model_copy(update=tidied)


def sts_policy(options: DnsOptions, mx: Sequence[str]) -> mta_sts.Policy | None:
    """The MTA-STS policy to host, or None where none is wished.

    Args:
        mx: values of the domain's MX record, as ``10 mail.example.com``.

    Raises:
        Refused: the policy would keep mail from one of the domain's own mail exchangers.
    """
    sts = options.mta_sts
    if sts is None:
        return None
    hosts = [value.split()[-1].rstrip(".").lower() for value in mx]
    policy = mta_sts.Policy(mode=sts.mode, max_age=sts.max_age, mx=sts.mx if sts.mx is not None else hosts)
    left_out = mta_sts.uncovered(policy, hosts)
    if left_out and policy.mode is mta_sts.Mode.ENFORCE:
        raise Refused(
            f"The policy enforces TLS for {', '.join(policy.mx)}, and leaves out {', '.join(left_out)} of the MX "
            "record: no mail would reach it. Add it, or use mode testing.",
            field="options.mta_sts.mx",
            code="mta_sts",
        )
    return policy


def texts(options: DnsOptions, domain: str, policy: mta_sts.Policy | None) -> list[tuple[str, str, str]]:
    """The optional TXT records as ``(key, name, value)``."""
    found: list[tuple[str, str, str]] = []
    if policy is not None:
        found.append(("mta_sts", f"_mta-sts.{domain}", mta_sts.record(policy)))
    if options.tls_rpt:
        found.append(("tls_rpt", f"_smtp._tls.{domain}", f"v=TLSRPTv1; rua={','.join(options.tls_rpt)}"))
    if options.bimi is not None:
        mark = f" a={options.bimi.certificate};" if options.bimi.certificate else ""
        name = f"{options.bimi.selector}._bimi.{domain}"
        found.append(("bimi", name, f"v=BIMI1; l={options.bimi.logo};{mark}"))
    return found


def _mx(value: str, field: str) -> str:
    parts = value.split()
    preference, name = parts if len(parts) == 2 else ("10", value.strip())
    name = name.rstrip(".").lower()
    if not re.fullmatch(r"[0-9]{1,5}", preference) or int(preference) > 65_535 or not _HOST.fullmatch(name):
        raise Refused(
            f"{value!r} is no mail exchanger; give a host name, or `10 mx.example.com`.", field=field, code="mx"
        )
    return f"{int(preference)} {name}"


def _report_uri(value: str, field: str) -> str:
    text = value.strip()
    uri = text if ":" in text else f"mailto:{text}"
    if not _MAILTO.fullmatch(uri) and not _HTTPS.fullmatch(uri):
        raise Refused(
            f"{value!r} takes no TLS reports; give a mail address or an https address.",
            field=field,
            code="tls_rpt",
        )
    return uri


def _bimi(bimi: Bimi, where: str) -> Bimi:
    for field, value, ending in (("logo", bimi.logo, ".svg"), ("certificate", bimi.certificate, ".pem")):
        if value is not None and not (_HTTPS.fullmatch(value) and value.lower().endswith(ending)):
            raise Refused(
                f"{value!r} is no https address of a file ending in {ending}.", field=f"{where}.{field}", code="bimi"
            )
    if not _SELECTOR.fullmatch(bimi.selector):
        raise Refused(f"{bimi.selector!r} is no selector; use `default`.", field=f"{where}.selector", code="bimi")
    return bimi
