"""API keys, service accounts, and tokens that were taken back.

Revision ID: 0010
Revises: 0009
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _moment(name: str, *, nullable: bool = False, default: sa.TextClause | None = None) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    op.create_table(
        "revocations",
        _id("id"),
        _text("kind"),
        _moment("cutoff"),
        _moment("expires_at"),
        _moment("recorded_at", default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", "kind", name="pk_revocations"),
        sa.CheckConstraint("kind IN ('ended', 'outdated')", name=op.f("ck_revocations_kind")),
    )
    op.create_index("ix_revocations_recorded_at", "revocations", ["recorded_at"])
    op.create_index("ix_revocations_expires_at", "revocations", ["expires_at"])
    op.create_table(
        "service_accounts",
        _id("id"),
        _id("organization_id"),
        _text("name"),
        sa.Column("roles", JSONB(), nullable=False),
        _text("status"),
        _id("created_by"),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_service_accounts"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_service_accounts_organization_id_organizations"
        ),
        sa.CheckConstraint("status IN ('active', 'suspended', 'deleted')", name=op.f("ck_service_accounts_status")),
    )
    op.create_index("ix_service_accounts_organization_id_id", "service_accounts", ["organization_id", "id"])
    op.create_table(
        "api_keys",
        _id("id"),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _text("prefix"),
        _text("owner_kind"),
        _id("owner_id"),
        _id("organization_id", nullable=True),
        _text("name"),
        sa.Column("scopes", JSONB(), nullable=False),
        _id("created_by"),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("last_used_at", nullable=True),
        _moment("revoked_at", nullable=True),
        _text("revoked_for", ""),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
        sa.CheckConstraint("owner_kind IN ('person', 'service')", name=op.f("ck_api_keys_owner_kind")),
    )
    op.create_index("ix_api_keys_owner_id_created_at", "api_keys", ["owner_id", "created_at"])


def downgrade() -> None:
    for table in ("api_keys", "service_accounts", "revocations"):
        op.drop_table(table)
