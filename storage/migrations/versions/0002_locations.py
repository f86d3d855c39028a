"""Locations of organizations and their rooms."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, **options)


def _now(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()"))


def upgrade() -> None:
    op.create_table(
        "locations",
        _id("id"),
        _id("organization_id"),
        _text("name"),
        _text("line1"),
        _text("line2", server_default=""),
        _text("city"),
        _text("region", server_default=""),
        _text("postal_code", server_default=""),
        _text("country"),
        _text("time_zone"),
        sa.Column("opening_hours", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("categories", ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.CheckConstraint("country ~ '^[A-Z]{2}$'", name="ck_locations_country"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_locations_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_locations"),
    )
    op.create_index("ix_locations_organization_id_id", "locations", ["organization_id", "id"])
    op.create_table(
        "rooms",
        _id("id"),
        _id("location_id"),
        _text("name"),
        _text("kind", server_default=""),
        _now("created_at"),
        _now("updated_at"),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name="fk_rooms_location_id_locations"),
        sa.PrimaryKeyConstraint("id", name="pk_rooms"),
        sa.UniqueConstraint("location_id", "name", name="uq_rooms_location_id_name"),
    )
    op.create_index("ix_rooms_location_id_id", "rooms", ["location_id", "id"])


def downgrade() -> None:
    op.drop_table("rooms")
    op.drop_table("locations")
