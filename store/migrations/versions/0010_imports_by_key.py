"""What an import with an idempotency key added: a request that is sent again is answered alike.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """One table."""
    op.create_table(
        "ip_import",
        sa.Column("key", TEXT(), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )


def downgrade() -> None:
    """Keys of imports are forgotten."""
    op.drop_table("ip_import")
