"""Index rows of rooms; rooms and locations can be closed; a visit is in one room."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "room_status"
_OPEN = sa.text("closed_at IS NULL")


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        TABLE,
        _id("id"),
        sa.Column("version", sa.BigInteger(), nullable=False),
        _id("organization_id"),
        _id("location_id"),
        sa.Column("status", sa.Text(), nullable=False),
        _id("claimed_by", nullable=True),
        _id("patient_id", nullable=True),
        _id("visit_id", nullable=True),
        _moment("since"),
        sa.PrimaryKeyConstraint("id", name="pk_room_status"),
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.1"},
    )
    op.create_index(f"ix_{TABLE}_location_id_status", TABLE, ["location_id", "status"])
    for name in ("claimed_by", "visit_id"):
        op.create_index(f"ix_{TABLE}_{name}", TABLE, [name], postgresql_where=sa.text(f"{name} IS NOT NULL"))
    op.create_table(
        "visit_places",
        _id("organization_id"),
        _id("visit_id"),
        _id("room_id"),
        sa.Column("settled", sa.Boolean(), nullable=False),
        _moment("since"),
        sa.PrimaryKeyConstraint("organization_id", "visit_id", name="pk_visit_places"),
    )
    for table in ("locations", "rooms"):
        op.add_column(table, _moment("closed_at", nullable=True))
    op.create_index("ix_locations_country_city", "locations", ["country", "city"])
    op.drop_constraint("uq_rooms_location_id_name", "rooms", type_="unique")
    op.create_index("uq_rooms_location_id_name", "rooms", ["location_id", "name"], unique=True, postgresql_where=_OPEN)


def downgrade() -> None:
    """What was closed is gone with the column that says so."""
    op.execute("DELETE FROM rooms WHERE closed_at IS NOT NULL")
    op.execute("DELETE FROM locations WHERE closed_at IS NOT NULL")
    op.drop_index("uq_rooms_location_id_name", "rooms")
    op.create_unique_constraint("uq_rooms_location_id_name", "rooms", ["location_id", "name"])
    op.drop_index("ix_locations_country_city", "locations")
    for table in ("rooms", "locations"):
        op.drop_column(table, "closed_at")
    op.drop_table("visit_places")
    op.drop_table(TABLE)
