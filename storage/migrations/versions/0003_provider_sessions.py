"""Index rows of provider sessions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = "provider_sessions"


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def upgrade() -> None:
    op.create_table(
        TABLE,
        _id("id"),
        sa.Column("version", sa.BigInteger(), nullable=False),
        _id("organization_id"),
        _id("location_id", nullable=True),
        _id("user_id"),
        _id("device_id"),
        _text("status"),
        _text("access"),
        _id("room_id", nullable=True),
        _id("patient_id", nullable=True),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_provider_sessions"),
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.1"},
    )
    for party, where in (("organization_id", None), ("location_id", "location_id IS NOT NULL"), ("user_id", None)):
        op.create_index(
            f"ix_{TABLE}_{party}_created_at_id",
            TABLE,
            [party, "created_at", "id"],
            postgresql_where=None if where is None else sa.text(where),
        )
    op.create_index(
        f"ix_{TABLE}_organization_id_quarantined",
        TABLE,
        ["organization_id", "quarantined"],
        postgresql_where=sa.text("quarantined > 0"),
    )


def downgrade() -> None:
    op.drop_table(TABLE)
