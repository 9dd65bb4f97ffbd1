"""What sources told that nobody could make anything of.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """One table."""
    op.create_table(
        "stray_event",
        *(sa.Column(name, TEXT(), nullable=False) for name in ("source", "why", "name")),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "why", "name"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """The sums are dropped; the events stay."""
    op.drop_table("stray_event")
