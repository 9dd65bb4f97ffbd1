"""Replies seen, summed up by day and IP, provider, sender, campaign.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString
#: Parts, and the column of ``reply_count`` that each sums up by.
PARTS = {"": "''", "ip": "address", "provider": "provider", "sender": "sender", "campaign": "campaign"}


def upgrade() -> None:
    """One table, filled from the counts that are there."""
    op.create_table(
        "reply_part",
        *(sa.Column(name, TEXT(), nullable=False) for name in ("part", "reply")),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("name", TEXT(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("part", "reply", "day", "name"),
        sqlite_with_rowid=False,
    )
    for part, column in PARTS.items():
        by = ", ".join(("reply", "day", *([column] if part else [])))
        op.execute(
            "INSERT INTO reply_part (part, reply, day, name, count, last_ms) "
            f"SELECT '{part}', reply, day, {column}, SUM(count), MAX(last_ms) FROM reply_count GROUP BY {by}"
        )
    op.create_index("ix_reply_part_day", "reply_part", ["day"])


def downgrade() -> None:
    """The sums are dropped; the counts stay."""
    op.drop_table("reply_part")
