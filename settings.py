"""Every setting of Warmpath, read from ``WARMPATH_<NAME>`` and checked at start.

The sandbox profile needs none of them: defaults describe one machine on loopback. The live
profile refuses defaults that are only safe there (see :meth:`Settings.refuse_sandbox_parts`).
``docs/configuration.md`` is generated from this file, so the description of a field is the
documentation an operator reads.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Profile(StrEnum):
    """Which neighbours this installation talks to."""

    SANDBOX = "sandbox"
    LIVE = "live"


class Installation(BaseModel):
    """The installation and its store."""

    profile: Profile = Field(Profile.SANDBOX, description="`sandbox` (programs on loopback) or `live`.")
    installation: str = Field("SANDBOX", description="Name shown as a badge on every console page.")
    var_dir: Path = Field(Path("var"), description="Folder for state: databases, keys, tokens, logs.")
    database_url: str = Field(
        "sqlite:///var/warmpath.sqlite",
        description="Store: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    sqlite_synchronous: str = Field(
        "full",
        pattern="^(normal|full)$",
        description="SQLite durability: `full` survives a power loss, `normal` only a killed process.",
    )


class Processes(BaseModel):
    """Where the processes listen, and the Temporal server that they share."""

    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: int = Field(8000, description="Port of the API.")
    api_url: str = Field("http://127.0.0.1:8000", description="Where the console and senders find the API.")
    console_port: int = Field(8501, description="Port of the console.")
    codec_port: int = Field(8081, description="Port of the codec server that the Temporal UI asks.")
    codec_sign_in: bool = Field(
        True,
        description="Whether the codec server opens payloads to holders of a token only; `make up` turns it off.",
    )
    temporal_address: str = Field("127.0.0.1:7233", description="Temporal frontend, HOST:PORT.")
    temporal_namespace: str = Field("default", description="Temporal namespace.")
    temporal_ui_url: str = Field("http://127.0.0.1:8233", description="Temporal UI, for links.")
    temporal_ui_port: int = Field(8233, description="Port of the Temporal UI that `make up` starts.")
    temporal_port: int = Field(7233, description="Port of the Temporal server that `make up` starts.")
    temporal_profile: str | None = Field(
        None, description="Profile of Temporal's own configuration file (address, TLS, API key), if any."
    )
    task_queue: str = Field("warmpath", description="Task queue of workflows and quick activities.")
    vendor_task_queue: str = Field(
        "warmpath-vendors", description="Task queue of slow or paid calls to vendors and payment providers."
    )
    vendor_calls_per_second: float = Field(
        20.0, gt=0, description="Upper limit of calls to vendors and payment providers, per task queue."
    )
    drain_seconds: float = Field(20.0, ge=0, description="How long a stopping worker lets running activities finish.")


class Keys(BaseModel):
    """What secrets are sealed with."""

    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description=(
            "Keys for AES-256-GCM, `ID:BASE64` separated by commas; the first encrypts, all decrypt. "
            "Empty: read from `var_dir`/secret.keys, which `make up` creates."
        ),
    )


class Ramp(BaseModel):
    """Warm-up: plans, and how fast they go."""

    day_seconds: float = Field(
        86_400.0,
        gt=0,
        description="Length of a warm-up day for plans made from now on; shorter in a demonstration.",
    )
    warmup_initial: int = Field(
        50, description="Cap of the first day where a plan does not say; sources: requirements, operator's IP guide."
    )
    warmup_initial_least: int = Field(
        20, gt=0, description="Lowest cap of a first day; source: operator's IP guide (mailbox-scale senders)."
    )
    warmup_initial_most: int = Field(
        50, gt=0, description="Highest cap of a first day without a preset; source: operator's IP guide."
    )
    warmup_growth: float = Field(
        0.25, description="Growth a step where a plan does not say; sources: requirements (daily), operator's IP guide."
    )
    warmup_growth_least: float = Field(0.20, gt=0, description="Lowest growth a step; source: requirements.")
    warmup_growth_most: float = Field(0.30, gt=0, le=1, description="Highest growth a step; source: requirements.")
    warmup_step_days: int = Field(
        1,
        ge=1,
        description="Sending days a step where no plan says it; sources: requirements 1, operator's IP guide 3 to 4.",
    )
    warmup_hourly_part: int = Field(
        5, ge=1, description="One hour may take a day's cap divided by this; source: Mailtrap's published table."
    )
    warmup_enough_sent: float = Field(
        0.90, gt=0, le=1, description="Share of the cap that a day must send to advance the ramp; source: SparkPost."
    )
    warmup_idle_restart_days: int = Field(
        30, ge=1, description="Days without mail after which a warm-up starts again; source: SendGrid."
    )
    warmup_idle_decay_days: int = Field(
        7, ge=1, description="Days without mail that cost one step; source: SES managed warm-up decays the level."
    )
    safe_limit_dedicated: int = Field(
        2_000,
        gt=0,
        description=(
            "What a warm dedicated IP may send a day, where nobody says otherwise: the target of its warm-up. Sources: "
            "operator's IP guide; Amazon SES brings one to 50,000 within 45 days."
        ),
    )
    safe_limit_shared: int = Field(
        1_200, gt=0, description="The same of a shared IP; raise it on evidence only. Source: operator's IP guide."
    )

    @property
    def safe_limits(self) -> dict[str, int]:
        """Mails a day of a warm IP, by its type."""
        return {"dedicated": self.safe_limit_dedicated, "shared": self.safe_limit_shared}


class Decisions(BaseModel):
    """Warm-up and reputation: which rates count, and on how much evidence."""

    decision_bounce_hold: float = Field(
        0.03, gt=0, lt=1, description="Bounce rate above which the cap stays; source: operator's IP guide."
    )
    decision_bounce_back: float = Field(
        0.05, gt=0, lt=1, description="Bounce rate above which a step is taken back; source: Amazon SES reviews at 5 %."
    )
    decision_bounce_stop: float = Field(
        0.08, gt=0, lt=1, description="Bounce rate over some days that stops mail; source: operator's IP guide."
    )
    decision_bounce_stop_days: int = Field(
        3, ge=1, description="Days of that rate; source: operator's IP guide (3-day average)."
    )
    decision_bounce_stop_day: float = Field(
        0.10, gt=0, lt=1, description="Bounce rate of one day that stops mail; source: Amazon SES pauses at 10 %."
    )
    decision_complaint_hold: float = Field(
        0.001, gt=0, lt=1, description="Complaint rate above which the cap stays; sources: Gmail, Amazon SES (0.1 %)."
    )
    decision_complaint_back: float = Field(
        0.002, gt=0, lt=1, description="Complaint rate above which a step is taken back; source: operator's IP guide."
    )
    decision_complaint_stop: float = Field(
        0.005, gt=0, lt=1, description="Complaint rate that stops mail; source: Amazon SES pauses at 0.5 %."
    )
    decision_complaint_days: int = Field(
        30, ge=1, le=30, description="Days that complaints are counted over; a choice of this project, they come late."
    )
    decision_deferral_hold: float = Field(
        0.05, gt=0, lt=1, description="Deferral rate above which the cap stays; source: operator's IP guide."
    )
    decision_deferral_back: float = Field(
        0.15, gt=0, lt=1, description="Deferral rate above which a step is taken back; source: operator's IP guide."
    )
    decision_days: int = Field(
        7, ge=1, le=30, description="Days that bounces and deferrals are counted over; a choice of this project."
    )
    decision_clean_days: int = Field(
        7, ge=1, le=30, description="Clean days that end a hold without further evidence; a choice of this project."
    )
    evidence_sample: int = Field(
        100, ge=1, description="Fewest recipients a rate is judged on; sources: Wilson 1927, SNDS (100 a day)."
    )
    evidence_events: int = Field(3, ge=1, description="Fewest events that count as evidence; a choice of this project.")
    evidence_complaints: int = Field(2, ge=1, description="Fewest complaints that count; a choice of this project.")
    evidence_z_warn: float = Field(
        1.96, gt=0, description="Quantile of the bound for warnings, 95 %; sources: Wilson 1927, Clopper-Pearson 1934."
    )
    evidence_z_stop: float = Field(
        2.58, gt=0, description="Quantile of the bound for automatic stops, 99 %; sources: as for warnings."
    )
    risk_bounce: float = Field(
        0.08, gt=0, lt=1, description="Bounce rate over 3 days that puts an IP at risk; source: operator's IP guide."
    )
    risk_complaint: float = Field(
        0.002,
        gt=0,
        lt=1,
        description="Complaint rate over 30 days that puts an IP at risk; source: operator's IP guide.",
    )
    risk_engagement_drop: float = Field(
        0.50,
        gt=0,
        lt=1,
        description="Fall of opens or replies in 3 days that puts an IP at risk; source: operator's IP guide.",
    )
    risk_engagement_events: int = Field(
        20, ge=1, description="Fewest opens or replies before that make a fall evidence; a choice of this project."
    )


class Dns(BaseModel):
    """DNS: whom to ask, and who publishes."""

    dns_servers: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description=(
            "Where delegation starts, ADDRESS[@PORT] separated by commas; empty: the resolver of the machine. "
            "The sandbox names its own authoritative servers here."
        ),
    )
    dns_resolvers: Annotated[tuple[str, ...], NoDecode] = Field(
        ("1.1.1.1", "8.8.8.8", "9.9.9.9", "208.67.222.222"),
        description="Independent recursive resolvers that decide *visible*, ADDRESS[@PORT], by commas.",
    )
    dns_port: int = Field(53, description="Port that authoritative servers are asked on.")
    dns_quorum: float = Field(0.75, gt=0, le=1, description="Share of resolvers that must see a record.")
    dns_deadline_hours: float = Field(48.0, gt=0, description="Default time before DNS is escalated.")
    dns_record_ttl: int = Field(300, ge=1, description="TTL of the records written, seconds.")
    dns_publisher: str = Field("manual", description="Who enters records: `manual`, `rfc2136` or `route53`.")
    dns_manual_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Domains whose records are always entered by hand, by commas."
    )
    dns_rfc2136_server: str = Field("127.0.0.1@10053", description="Primary that takes dynamic updates.")
    dns_tsig_name: str = Field("warmpath", description="TSIG key name for dynamic updates.")
    dns_tsig_algorithm: str = Field("hmac-sha256", description="TSIG algorithm.")
    dns_tsig_secret: SecretStr | None = Field(None, description="TSIG secret, base64.")


class Watching(BaseModel):
    """Blocklists, sweeps, and how long figures and events are kept."""

    blocklist_resolver: str | None = Field(
        None,
        description="Resolver for blocklist queries, ADDRESS[@PORT]; public resolvers get no true answers.",
    )
    blocklist_suffix: str = Field(
        "", description="Appended to blocklist zones; the sandbox serves them below its own name."
    )
    spamhaus_key: SecretStr | None = Field(None, description="Spamhaus DQS key, if any.")
    blocklist_second_look_seconds: float = Field(
        60.0, gt=0, description="Time from a new listing to the second look that confirms it."
    )
    sweep_minutes: float = Field(15.0, gt=0, description="Interval of the reputation sweep.")
    figures_sweep_minutes: float = Field(
        360.0, gt=0, description="Interval of the sweep that rolls figures up and drops old events."
    )
    figure_slice_days: int = Field(
        35,
        ge=31,
        description=(
            "Days that figures are kept in slices of a 96th of a day; older ones are summed to days. At least 31: "
            "decisions on complaints look at 30 days."
        ),
    )
    event_days: int = Field(
        14,
        ge=1,
        description="Days that single events are kept: to look them up, and to find whose mail it was.",
    )
    event_waiting_most: int = Field(
        500_000,
        ge=0,
        description="Events that may wait for their mail (about 1 kB each); a sweep gives up the oldest beyond it.",
    )
    reply_days: int = Field(
        30, ge=1, description="Days that counts of replies are kept, by IP, provider, sender and campaign."
    )
    event_duplicate_days: int = Field(
        35, ge=3, description="Days that the same event is known again and refused; not under `event_days`."
    )
    request_key_days: int = Field(
        35,
        ge=1,
        description="Days that a used `Idempotency-Key` is known again; after that the same request is a new one.",
    )
    dns_sweep_minutes: float = Field(60.0, gt=0, description="Interval of the DNS drift sweep.")


class Buying(BaseModel):
    """IPs: who sells them, who pays, and how candidates are vetted."""

    ip_vendors: Annotated[tuple[str, ...], NoDecode] = Field(
        ("sandbox",), description="Vendors offered to operators: `sandbox`, `inventory`, `aws`."
    )
    sandbox_vendor_url: str = Field("http://127.0.0.1:10080", description="The sandbox's IP vendor.")
    inventory_file: Path | None = Field(None, description="CSV of addresses already held, for the `inventory` vendor.")
    inventory_cidrs: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="CIDR blocks already held, for the `inventory` vendor."
    )
    aws_region: str = Field("us-east-1", description="Region for EC2 and Route 53.")
    aws_endpoint_url: str | None = Field(None, description="Other endpoint than AWS itself (tests).")
    payments: str = Field("sandbox", description="Payment provider: `sandbox` or `stripe`.")
    sandbox_payments_url: str = Field("http://127.0.0.1:10081", description="The sandbox's gateway.")
    stripe_api_key: SecretStr | None = Field(None, description="Stripe secret key.")
    stripe_api_base: str | None = Field(None, description="Other endpoint than Stripe itself (tests).")
    stripe_webhook_secret: SecretStr | None = Field(None, description="Signing secret of Stripe webhooks.")
    extra_ip_monthly_price: Decimal = Field(
        Decimal("8.00"),
        gt=0,
        decimal_places=2,
        description="What an IP is sold for, USD a month without tax (source: operator's IP guide).",
    )
    payment_fee_share: Decimal = Field(
        Decimal("0.029"),
        ge=0,
        lt=1,
        description="Share of a payment that the payment provider keeps (source: operator's IP guide, 2.9 %).",
    )
    payment_fee_fixed: Decimal = Field(
        Decimal("0.30"),
        ge=0,
        description="What the payment provider keeps beside the share, USD a payment (source: operator's IP guide).",
    )
    sandbox_monthly_cost: Decimal = Field(
        Decimal("6.00"),
        ge=0,
        description="What the sandbox's vendor charges, USD an IP and month (source: operator's IP guide).",
    )
    aws_monthly_cost: Decimal = Field(
        Decimal("3.65"),
        ge=0,
        description=(
            "What AWS charges, USD an IP and month (source: AWS price list of 2024, 0.005 an hour for a public "
            "IPv4 address, 730 hours)."
        ),
    )
    inventory_monthly_cost: Decimal = Field(
        Decimal("0.00"),
        ge=0,
        description="What an address already held costs, USD a month; set it where a provider charges for the space.",
    )
    quote_minutes: float = Field(60.0, gt=0, description="How long a quote holds.")
    waitlist_hours: float = Field(72.0, gt=0, description="How long an order waits for stock.")
    waitlist_look_seconds: float = Field(
        30.0, gt=0, description="Interval at which a waitlisted order looks at the vendor's stock."
    )
    smtp_ca_file: Path | None = Field(
        None,
        description=(
            "Certificates (PEM) believed beside the machine's own authorities when SMTP credentials are verified. "
            "`live` checks every certificate; the sandbox leaves loopback unchecked unless a file is named."
        ),
    )
    vetting_spares: int = Field(
        4, ge=0, le=50, description="Candidates vetted beyond what was ordered; they stand in for refused ones."
    )
    vetting_neighbours: int = Field(
        4,
        ge=0,
        le=64,
        description="Size of the sample of neighbours (same /24; IPv6: /64) whose listings are looked at.",
    )
    vetting_neighbours_tolerated: int = Field(
        1, ge=0, description="Listed neighbours of the sample that do not refuse a candidate; one may be bad luck."
    )


class Sources(BaseModel):
    """Events and replies: who may post them, and how replies are read."""

    webhook_sendgrid_public_key: str | None = Field(
        None, description="Verification key of SendGrid's signed event webhook, base64."
    )
    webhook_ses_topic_arns: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="SNS topics whose messages are accepted, by commas."
    )
    webhook_ses_certificate_hosts: str = Field(
        r"^sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?$",
        description="Pattern of hosts that a signing certificate may come from.",
    )
    webhook_generic_secret: SecretStr | None = Field(
        None, description="Secret of the generic webhook (Standard Webhooks, `whsec_...`)."
    )
    webhook_mailgun_signing_key: SecretStr | None = Field(None, description="HTTP webhook signing key of Mailgun.")
    webhook_postmark_secret: SecretStr | None = Field(
        None, description="Secret that Postmark's webhooks come with: password of HTTP Basic, or a header."
    )
    webhook_sparkpost_secret: SecretStr | None = Field(
        None, description="Secret that SparkPost's webhooks come with: password of HTTP Basic, or a header."
    )
    webhook_kumomta_secret: SecretStr | None = Field(
        None, description="Secret that KumoMTA's log hook sends: password of HTTP Basic, Bearer token, or a header."
    )
    webhook_alertmanager_secret: SecretStr | None = Field(
        None, description="Secret that Alertmanager sends: Bearer token or password of HTTP Basic."
    )
    webhook_grafana_secret: SecretStr | None = Field(
        None, description="Secret that Grafana signs its alerts with, or sends as Bearer token or password."
    )
    reply_rules_dir: Path | None = Field(
        None,
        description=(
            "Folder with rule files (`*.toml`) of this installation for reading SMTP replies, taken before the shipped "
            "ones; see docs/guide/replies.md."
        ),
    )


class Gate(BaseModel):
    """The gate."""

    gate_host: str = Field("127.0.0.1", description="Address the gate listens on.")
    gate_policy_port: int = Field(10040, description="Port of the gate for Postfix policy delegation.")
    gate_socketmap_port: int = Field(10041, description="Port of the gate for Postfix socketmap look-ups.")
    gate_http_port: int = Field(10042, description="Port of the gate for `/healthz`, `/readyz` and `/metrics`.")
    gate_filter: bool = Field(
        True, description="Answer a granted mail with `FILTER wp-ADDRESS:`, its transport; else with `DUNNO`."
    )
    gate_next_hop: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:\[\]-]*$",
        description="Next hop after the transport, such as `[relay.example]:587`; empty: the recipient's MX.",
    )
    gate_default_pool: str = Field(
        "", description="Pool for mail whose sender is not known; empty: such mail is deferred."
    )
    gate_resolver: str | None = Field(
        None, description="Resolver for the MX of recipients, ADDRESS[@PORT]; empty: the one of the machine."
    )
    gate_mx_seconds: float = Field(
        0.5, gt=0, description="Longest time an answer waits for an MX; the mail then counts as `other`."
    )
    gate_answer_seconds: float = Field(
        3.0, gt=0, description="Longest time an answer waits for the ledger; the mail is then deferred."
    )
    gate_block_most: int = Field(
        1000, gt=0, description="Largest block a gate leases at once: what a crash can lose per IP and provider."
    )
    gate_connections: int = Field(2000, gt=0, description="Most connections to each port of the gate.")
    gate_reconcile_seconds: float = Field(
        300.0, gt=0, description="Interval at which a gate compares what was granted with what was sent."
    )


class Reports(BaseModel):
    """Reports by mail."""

    reports_host: str = Field("127.0.0.1", description="Address that reports by mail (bounces, complaints) come in on.")
    reports_port: int = Field(10044, description="Port for reports by mail.")
    reports_protocol: str = Field("smtp", pattern="^(smtp|lmtp)$", description="`smtp` or `lmtp` on that port.")
    reports_dir: Path | None = Field(
        None, description="Folder or Maildir that reports by mail are dropped into, watched beside the port."
    )
    reports_trusted: bool = Field(
        False,
        description=(
            "Whether the IP that a report itself names counts (`X-Warmpath-Source`, `Source-IP`), and a refusal of an "
            "IP that a report tells stops its mail. Anybody can write a mail that looks like a report: only where no "
            "other mail system than one's own can reach the way in."
        ),
    )


class PostfixLog(BaseModel):
    """The reader of Postfix's log."""

    postfix_log_http_port: int | None = Field(
        None, ge=1, le=65_535, description="Port of `warmpath postfix follow-log` for `/metrics`; none: not served."
    )
    postfix_log_host: str = Field("127.0.0.1", description="Address of that port.")


class MailSystems(BaseModel):
    """Mail systems that are driven."""

    mail_systems: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Mail systems that `warmpath mail-systems follow` drives, by commas: `postfix`, `ses`, `kumomta`.",
    )
    mail_systems_apply_seconds: float = Field(
        5.0, gt=0, description="Least time between two looks at the sources that a mail system has to know."
    )
    mail_systems_follow_seconds: float = Field(
        60.0,
        gt=0,
        description="Time after which a mail system is told of pauses and closed IPs again without a change.",
    )
    postfix_config: Path = Field(Path("/etc/postfix"), description="Folder of Postfix's `main.cf`, from / on.")
    postfix_gate_host: str = Field("127.0.0.1", description="Where Postfix finds the gate.")
    postfix_source_header: bool = Field(
        True,
        description="Whether Postfix writes `X-Warmpath-Source: IP` into a mail as it leaves; reports quote it.",
    )
    ses_configuration_sets: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description=(
            "Amazon SES configuration sets that pauses disable, by commas: `sender/NAME=SET`, `pool/NAME=SET`, "
            "`campaign/NAME=SET`, or `all=SET` for one that only a pause of everything disables. A mail names its set."
        ),
    )
    ses_pool_prefix: str = Field(
        "warmpath-",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="Begin of the names of dedicated IP pools that Warmpath makes at Amazon SES, one a pool.",
    )
    ses_closed_pool: str = Field(
        "warmpath-closed",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Dedicated IP pool for IPs that may send nothing now; no configuration set may name it.",
    )
    kumomta_dir: Path = Field(
        Path("/opt/kumomta/etc/warmpath"), description="Folder for the files that KumoMTA reads, from / on."
    )
    kumomta_url: str = Field(
        "http://127.0.0.1:8000", pattern=r"^https?://\S+$", description="HTTP listener of KumoMTA, for its admin calls."
    )
    kumomta_user: str = Field("", description="User for KumoMTA's HTTP listener; empty: a trusted host needs none.")
    kumomta_password: SecretStr | None = Field(None, description="Password of that user.")
    kumomta_suspend_hours: float = Field(
        168.0,
        ge=1,
        description=(
            "How long KumoMTA keeps a pause when nobody renews it, hours. It is renewed at half of it; "
            "after it mail flows again, so it must outlast the longest time without Warmpath."
        ),
    )


class Limits(BaseModel):
    """Limits and logs."""

    max_body_bytes: int = Field(5_000_000, gt=0, description="Largest request body the API reads.")
    rate_limit_per_minute: int = Field(
        1_200, gt=0, description="Requests a minute per token, webhooks and gate leases not counted."
    )
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="`debug`, `info`, `warning` or `error`."
    )


class Sandbox(BaseModel):
    """Ports of the sandbox's own neighbours."""

    smtp_port: int = Field(10025, description="Port of the sandbox's SMTP server.")
    sandbox_dns_port: int = Field(10053, description="Port of the sandbox's authoritative DNS server.")
    sandbox_senders_port: int = Field(10082, description="Port of the switch for trouble of the sandbox's senders.")


#: The groups, in the order of the reference.
GROUPS: tuple[type[BaseModel], ...] = (
    Installation, Processes, Keys, Ramp, Decisions, Dns, Watching, Buying, Sources, Gate, Reports,
    PostfixLog, MailSystems, Limits, Sandbox,
)  # fmt: skip


class Settings(
    # Of bases the last one's fields come first.
    Sandbox, Limits, MailSystems, PostfixLog, Reports, Gate, Sources, Buying, Watching, Dns, Decisions, Ramp, Keys,
    Processes, Installation, BaseSettings,
):  # fmt: skip
    """Settings of one installation; one instance a process, made by :func:`load`."""

    model_config = SettingsConfigDict(env_prefix="WARMPATH_", extra="ignore", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def split_commas(cls, values: dict[str, object]) -> dict[str, object]:
        """Lists come from the environment as text with commas."""
        for name, field in cls.model_fields.items():
            given = values.get(name)
            if isinstance(given, str) and str(field.annotation).startswith("tuple["):
                values[name] = tuple(part.strip() for part in given.split(",") if part.strip())
        return values

    @field_validator("database_url")
    @classmethod
    def name_a_store(cls, url: str) -> str:
        """A store that this code knows.

        Raises:
            ValueError: says how to name one; the URL itself may hold a password.
        """
        if not re.match(r"sqlite:///.|postgres(ql)?://.|postgresql\+psycopg://.", url):
            raise ValueError("give `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.")
        return url

    @model_validator(mode="after")
    def order_retention(self) -> Settings:
        """Keys of events outlive the events.

        Raises:
            ValueError: they would not.
        """
        if self.event_duplicate_days < self.event_days:
            raise ValueError(
                f"WARMPATH_EVENT_DUPLICATE_DAYS: {self.event_duplicate_days} is under WARMPATH_EVENT_DAYS "
                f"({self.event_days}); events are kept no longer than duplicates are refused."
            )
        return self

    @model_validator(mode="after")
    def check_publisher(self) -> Settings:
        """Who publishes can: a journey that finds out would be tried again for ever.

        Raises:
            ValueError: names the setting and what to do.
        """
        if self.dns_publisher not in ("manual", "rfc2136", "route53"):
            raise ValueError(f"WARMPATH_DNS_PUBLISHER: no {self.dns_publisher!r}; `manual`, `rfc2136` or `route53`.")
        if self.dns_publisher == "rfc2136" and self.dns_tsig_secret is None:
            raise ValueError("WARMPATH_DNS_TSIG_SECRET: dynamic updates need the key's secret, base64.")
        return self

    @model_validator(mode="after")
    def refuse_sandbox_parts(self) -> Settings:
        """The live profile does not start with anything that is only safe on loopback.

        Raises:
            ValueError: names the setting and what to do.
        """
        if self.profile is not Profile.LIVE:
            return self
        if "sandbox" in self.ip_vendors:
            raise ValueError("WARMPATH_IP_VENDORS: `sandbox` sells no real addresses; name `inventory` or `aws`.")
        if self.payments == "sandbox":
            raise ValueError("WARMPATH_PAYMENTS: `sandbox` takes no real money; set `stripe`.")
        if not self.secret_keys:
            raise ValueError("WARMPATH_SECRET_KEYS: set at least one key, made by `warmpath secrets new-key`.")
        if self.day_seconds != 86_400:
            raise ValueError("WARMPATH_DAY_SECONDS: real mail is warmed up by real days; remove the setting.")
        return self


def said(error: ValidationError) -> str:
    """What is wrong with the settings in one sentence, without their values: some of those are secret."""
    first = error.errors(include_input=False)[0]
    words = first["msg"].removeprefix("Value error, ")
    return f"WARMPATH_{first['loc'][0]}: ".upper() + words if first["loc"] else words


@functools.cache
def load() -> Settings:
    """The settings of this process; a wrong one ends it with a sentence that names it."""
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit(f"A setting is wrong: {said(error)}") from None
