"""A pause keeps who made it.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the name; of pauses made before, the audit knows it."""
    with op.batch_alter_table("mail_pause", schema=None) as batch_op:
        batch_op.add_column(sa.Column("who", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    """Forget the name."""
    with op.batch_alter_table("mail_pause", schema=None) as batch_op:
        batch_op.drop_column("who")
