"""Jobs, exports of a person's data, erasures, legal holds, and how far retention has come.

Revision ID: 0013
Revises: 0012
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _document(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    default = None if nullable else sa.text("'{}'::jsonb")
    return sa.Column(name, JSONB(), nullable=nullable, server_default=default)


_STATUSES = "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')"


def upgrade() -> None:
    op.create_table(
        "jobs",
        _id("id"),
        _text("kind"),
        _text("key"),
        _id("owner"),
        _id("person", nullable=True),
        _text("status", "queued"),
        _document("params"),
        _count("done"),
        _count("total"),
        _text("step", ""),
        _document("checkpoint"),
        _document("result", nullable=True),
        _text("error", ""),
        _count("attempts"),
        sa.Column("cancel_wanted", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _id("holder", nullable=True),
        _moment("held_until", nullable=True),
        _moment("due_at"),
        _moment("created_at"),
        _moment("started_at", nullable=True),
        _moment("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.CheckConstraint(_STATUSES, name=op.f("ck_jobs_status")),
    )
    live = sa.text("status IN ('queued', 'running')")
    op.create_index("uq_jobs_kind_key", "jobs", ["kind", "key"], unique=True, postgresql_where=live)
    op.create_index("ix_jobs_due_at", "jobs", ["due_at"], postgresql_where=live)
    op.create_index("ix_jobs_owner_id", "jobs", ["owner", "id"])
    op.create_index("ix_jobs_kind_key_id", "jobs", ["kind", "key", "id"])
    _create_privacy()


def _create_privacy() -> None:
    op.create_table(
        "personal_exports",
        _id("id"),
        _id("user_id"),
        sa.Column("file_key", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("downloaded_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_personal_exports"),
    )
    op.create_index("ix_personal_exports_user_id_created_at", "personal_exports", ["user_id", "created_at"])
    op.create_table(
        "erasures",
        _id("user_id"),
        _id("job_id"),
        _id("asked_by"),
        _document("outcome"),
        _moment("started_at"),
        _moment("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("user_id", name="pk_erasures"),
    )
    op.create_table(
        "legal_holds",
        _id("id"),
        _id("user_id"),
        _text("reason"),
        _id("placed_by"),
        _moment("placed_at"),
        _moment("released_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_legal_holds"),
    )
    held = sa.text("released_at IS NULL")
    op.create_index("uq_legal_holds_user_id", "legal_holds", ["user_id"], unique=True, postgresql_where=held)
    op.create_table(
        "retention_marks",
        _id("rule"),
        _moment("at"),
        _id("id"),
        sa.PrimaryKeyConstraint("rule", name="pk_retention_marks"),
    )


def downgrade() -> None:
    for table in ("retention_marks", "legal_holds", "erasures", "personal_exports", "jobs"):
        op.drop_table(table)
