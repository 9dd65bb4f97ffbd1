"""Keys of events apart from the events, and figures by sender and campaign.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
COUNTS = ("attempted", "delivered", "bounced", "blocked", "deferred", "complained", "limited", "opened", "replied")


def upgrade() -> None:
    """Copy events and sums into the new tables."""
    op.create_table(
        "event_key",
        sa.Column("source", TEXT(), nullable=False),
        sa.Column("event_id", TEXT(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "event_id"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO event_key SELECT source, event_id, at_ms * 1000 FROM mail_event")
    op.drop_index("ix_mail_event_address", table_name="mail_event")
    op.rename_table("mail_event", "mail_event_before")
    op.create_table(
        "mail_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(sa.Column(name, TEXT(), nullable=False) for name in ("source", "event_id", "kind", "address", "provider")),
        *(sa.Column(name, TEXT(), nullable=False) for name in ("sender", "campaign")),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_day", sa.Integer(), nullable=False),
        *(sa.Column(name, TEXT(), nullable=False) for name in ("recipient", "message_id", "detail", "reply_class")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(
        "INSERT INTO mail_event (source, event_id, kind, address, provider, sender, campaign, at_ms, received_day, "
        "recipient, message_id, detail, reply_class) SELECT source, event_id, kind, address, provider, '', '', at_ms, "
        "at_ms / 86400000, recipient, message_id, detail, '' FROM mail_event_before ORDER BY at_ms"
    )
    op.drop_table("mail_event_before")
    sent = sa.text("kind IN ('sent', 'delivered') AND message_id <> ''")
    told = sa.text("detail <> ''")
    op.create_index("ix_mail_event_message", "mail_event", ["message_id"], sqlite_where=sent, postgresql_where=sent)
    op.create_index("ix_mail_event_reply", "mail_event", ["address", "at_ms"], sqlite_where=told, postgresql_where=told)
    op.create_index("ix_mail_event_received", "mail_event", ["received_day"])

    op.rename_table("figure", "figure_before")
    op.create_table(
        "figure",
        sa.Column("address", TEXT(), nullable=False),
        sa.Column("slice_ms", sa.BigInteger(), nullable=False),
        *(sa.Column(name, TEXT(), nullable=False) for name in ("provider", "sender", "campaign")),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in (
                "attempted", "delivered", "bounced", "blocked", "failed", "deferred", "complained", "limited", "opened",
                "replied",
            )
        ),
        sa.PrimaryKeyConstraint("address", "slice_ms", "provider", "sender", "campaign"),
        sqlite_with_rowid=False,
    )  # fmt: skip
    counts = ", ".join(COUNTS)
    op.execute(
        f"INSERT INTO figure (address, slice_ms, provider, sender, campaign, {counts}, failed) "
        f"SELECT address, slice_ms, provider, '', '', {counts}, 0 FROM figure_before"
    )
    op.drop_table("figure_before")


def downgrade() -> None:
    """There is no way back: the figures of campaigns would be lost."""
    raise NotImplementedError("restore a backup made before the upgrade")
