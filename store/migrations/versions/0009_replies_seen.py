"""Replies seen, by template, IP, provider, sender, campaign and day.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Two tables; replies are counted from now on."""
    op.create_table(
        "reply_text",
        *(sa.Column(name, TEXT(), nullable=False) for name in ("id", "template", "example")),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reply_text_last_day", "reply_text", ["last_day"])
    op.create_table(
        "reply_count",
        sa.Column("reply", TEXT(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        *(sa.Column(name, TEXT(), nullable=False) for name in ("address", "provider", "sender", "campaign")),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reply", "day", "address", "provider", "sender", "campaign"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_reply_count_day", "reply_count", ["day"])


def downgrade() -> None:
    """Replies seen are dropped."""
    op.drop_table("reply_count")
    op.drop_table("reply_text")
