"""Payment events, the payment of an order by its own column, MX and disposal of an IP"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.instants

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, with values for rows that are there, and the tables."""
    text = sqlmodel.sql.sqltypes.AutoString
    with op.batch_alter_table("ip") as batch:
        batch.add_column(sa.Column("mx", text(), nullable=True))
        batch.add_column(sa.Column("disposal", text(), nullable=False, server_default=""))
    with op.batch_alter_table("ip") as batch:
        batch.alter_column("disposal", server_default=None)
    with op.batch_alter_table("purchase_order") as batch:
        batch.add_column(sa.Column("payment_ref", text(), nullable=True))
        batch.create_index("ix_purchase_order_payment_ref", ["payment_ref"], unique=False)
    orders = sa.table("purchase_order", sa.column("id"), sa.column("payment", sa.JSON), sa.column("payment_ref"))
    for row in op.get_bind().execute(sa.select(orders.c.id, orders.c.payment)).all():
        if row.payment and row.payment.get("id"):
            filled = sa.update(orders).where(orders.c.id == row.id).values(payment_ref=row.payment["id"])
            op.get_bind().execute(filled)
    op.create_table(
        "payment_event",
        sa.Column("event_id", text(), nullable=False),
        sa.Column("order_id", text(), nullable=False),
        sa.Column("kind", text(), nullable=False),
        sa.Column("detail", text(), nullable=False),
        sa.Column("at", store.instants.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    with op.batch_alter_table("payment_event") as batch:
        batch.create_index("ix_payment_event_order_id", ["order_id"], unique=False)
    op.create_table(
        "payment_dead_letter",
        sa.Column("event_id", text(), nullable=False),
        sa.Column("kind", text(), nullable=False),
        sa.Column("payment_ref", text(), nullable=False),
        sa.Column("why", text(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("at", store.instants.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )


def downgrade() -> None:
    """Back to the first release."""
    op.drop_table("payment_dead_letter")
    op.drop_table("payment_event")
    with op.batch_alter_table("purchase_order") as batch:
        batch.drop_index("ix_purchase_order_payment_ref")
        batch.drop_column("payment_ref")
    with op.batch_alter_table("ip") as batch:
        batch.drop_column("disposal")
        batch.drop_column("mx")
