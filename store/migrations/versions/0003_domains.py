"""What the IPs of one sending domain share in DNS: key, options and expected values; DNS wishes of an order"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.instants

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = ("dkim_selector", "dkim_record", "dkim_secret")


def upgrade() -> None:
    """Move the key of the first set-up of a domain to the domain."""
    text = sqlmodel.sql.sqltypes.AutoString
    domains = op.create_table(
        "dns_domain",
        sa.Column("domain", text(), nullable=False),
        *(sa.Column(name, text(), nullable=False) for name in KEY),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("mx", sa.JSON(), nullable=False),
        sa.Column("updated_at", store.instants.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("domain"),
    )
    columns = [sa.column(name) for name in ("address", *KEY, "rendered_at")]
    setups = sa.table("dns_setup", *columns, sa.column("overrides", sa.JSON))
    ips = sa.table("ip", sa.column("address"), sa.column("domain"))
    joined = (
        sa.select(ips.c.domain, setups.c.overrides, *(setups.c[name] for name in KEY))
        .join_from(setups, ips, setups.c.address == ips.c.address)
        .order_by(setups.c.rendered_at)
    )
    seen: set[str] = set()
    for row in op.get_bind().execute(joined).all():
        domain = row.domain.lower().rstrip(".")
        if domain not in seen:
            seen.add(domain)
            shared = {key: values for key, values in (row.overrides or {}).items() if key != "ptr"}
            op.get_bind().execute(
                sa.insert(domains).values(
                    domain=domain,
                    dkim_selector=row.dkim_selector,
                    dkim_record=row.dkim_record,
                    dkim_secret=row.dkim_secret,
                    overrides=shared,
                    options={},
                    mx=[],
                    updated_at=store.instants.now(),
                )
            )
    with op.batch_alter_table("dns_setup") as batch:
        for name in KEY:
            batch.drop_column(name)
    with op.batch_alter_table("purchase_order") as batch:
        batch.add_column(sa.Column("dns", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Give every set-up the key of its domain."""
    with op.batch_alter_table("purchase_order") as batch:
        batch.drop_column("dns")
    with op.batch_alter_table("dns_setup") as batch:
        for name in KEY:
            batch.add_column(sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=""))
    setups = sa.table("dns_setup", sa.column("address"), *(sa.column(name) for name in KEY))
    ips = sa.table("ip", sa.column("address"), sa.column("domain"))
    domains = sa.table("dns_domain", sa.column("domain"), *(sa.column(name) for name in KEY))
    for row in op.get_bind().execute(sa.select(domains)).all():
        mine = sa.select(ips.c.address).where(ips.c.domain == row.domain)
        values = {name: getattr(row, name) for name in KEY}
        op.get_bind().execute(sa.update(setups).where(setups.c.address.in_(mine)).values(**values))
    with op.batch_alter_table("dns_setup") as batch:
        for name in KEY:
            batch.alter_column(name, server_default=None)
    op.drop_table("dns_domain")
