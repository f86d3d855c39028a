"""Index rows of treatment documents; the audit trail, which refuses to be changed."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    _documents()
    _audit()


def _documents() -> None:
    op.create_table(
        "documents",
        _id("id"),
        sa.Column("version", sa.BigInteger(), nullable=False),
        _id("organization_id"),
        _id("location_id"),
        _id("patient_id"),
        _id("visit_id", nullable=True),
        _text("template"),
        _text("status"),
        _id("author"),
        _id("signer", nullable=True),
        _id("cosigner", nullable=True),
        sa.Column("participants", JSONB(), nullable=False),
        sa.Column("conflicts_count", sa.Integer(), nullable=False),
        sa.Column("alerts_count", sa.Integer(), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.1"},
    )
    for column in ("patient_id", "location_id", "status"):
        _index("documents", "organization_id", column, "created_at", "id")


def _audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        _moment("at"),
        _id("actor"),
        _text("action"),
        _text("kind"),
        _id("object_id"),
        _id("patient_id"),
        _text("outcome"),
        _text("reason"),
        _text("device"),
        _text("correlation"),
        _id("organization_id"),
        sa.PrimaryKeyConstraint("position", name="pk_audit_events"),
    )
    _index("audit_events", "organization_id", "position")
    for column in ("object_id", "actor", "patient_id"):
        _index("audit_events", "organization_id", column, "position")
    op.execute(
        """
        CREATE FUNCTION audit_events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit events are only ever added' USING ERRCODE = 'insufficient_privilege';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION audit_events_stay()
        """
    )


def downgrade() -> None:
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION audit_events_stay()")
    op.drop_table("documents")
