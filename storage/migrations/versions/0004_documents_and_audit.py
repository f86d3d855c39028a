"""Index rows of treatment documents; the audit trail, which refuses to be changed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _index(table: str, *columns: str, **options: Any) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), **options)


def upgrade() -> None:
    _audit()


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
