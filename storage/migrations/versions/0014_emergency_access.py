"""Emergency access to patients' documents; audit events say what for, under which grant, and what was changed.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_MORE = ("purpose", "grant_id", "changes")


def _id(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False, server_default=default)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "emergency_access",
        _id("id"),
        _id("subject"),
        _id("organization_id"),
        _id("patient_id"),
        _id("document_id"),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        _moment("granted_at"),
        _moment("expires_at"),
        _moment("revoked_at", nullable=True),
        _id("revoked_by", ""),
        _moment("reviewed_at", nullable=True),
        _id("reviewed_by", ""),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_emergency_access"),
    )
    op.create_index(
        "ix_emergency_access_organization_id_granted_at", "emergency_access", ["organization_id", "granted_at", "id"]
    )
    op.create_index("ix_emergency_access_subject_expires_at", "emergency_access", ["subject", "expires_at"])
    op.add_column("audit_events", sa.Column("purpose", sa.Text(), nullable=False, server_default=""))
    op.add_column("audit_events", _id("grant_id", ""))
    op.add_column(
        "audit_events", sa.Column("changes", sa.LargeBinary(), nullable=False, server_default=sa.text("''::bytea"))
    )


def downgrade() -> None:
    for column in reversed(_MORE):
        op.drop_column("audit_events", column)
    op.drop_table("emergency_access")
