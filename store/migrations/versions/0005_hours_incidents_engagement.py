"""Hourly sums of providers, causes of incidents, engagement and rate limits in the figures, where a stage was left"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PROVIDERS = ("gmail", "microsoft", "yahoo", "apple", "other")
COUNTS = ("limited", "opened", "replied")


def upgrade() -> None:
    with op.batch_alter_table("ledger_window", schema=None) as batch_op:
        for provider in PROVIDERS:
            batch_op.add_column(sa.Column(f"hour_{provider}", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("figure", schema=None) as batch_op:
        for name in COUNTS:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("incident", schema=None) as batch_op:
        batch_op.add_column(sa.Column("causes", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.create_index("ix_incident_opened", ["opened_at", "id"], unique=False)
    with op.batch_alter_table("ip", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stage_before", sa.String(), nullable=False, server_default=""))
    # One trouble is one incident: what the life of an IP opened a second time is closed.
    op.execute(
        "UPDATE incident SET closed_at = updated_at, closed_why = 'Told by the incident at_risk of the same IP.' "
        "WHERE closed_at IS NULL AND kind IN ('reputation', 'warmup') AND EXISTS (SELECT 1 FROM incident other "
        "WHERE other.kind = 'at_risk' AND other.address = incident.address AND other.closed_at IS NULL)"
    )
    op.execute(
        "UPDATE incident SET closed_at = updated_at, closed_why = 'Told by the incident warmup of the same IP.' "
        "WHERE closed_at IS NULL AND kind = 'reputation' AND EXISTS (SELECT 1 FROM incident other "
        "WHERE other.kind = 'warmup' AND other.address = incident.address AND other.closed_at IS NULL)"
    )
    op.execute("UPDATE incident SET kind = 'at_risk' WHERE closed_at IS NULL AND kind IN ('reputation', 'warmup')")


def downgrade() -> None:
    with op.batch_alter_table("ip", schema=None) as batch_op:
        batch_op.drop_column("stage_before")
    with op.batch_alter_table("incident", schema=None) as batch_op:
        batch_op.drop_index("ix_incident_opened")
        batch_op.drop_column("causes")
    with op.batch_alter_table("figure", schema=None) as batch_op:
        for name in COUNTS:
            batch_op.drop_column(name)
    with op.batch_alter_table("ledger_window", schema=None) as batch_op:
        for provider in PROVIDERS:
            batch_op.drop_column(f"hour_{provider}")
