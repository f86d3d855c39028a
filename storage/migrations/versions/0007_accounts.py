"""People who log in: users, memberships, logins and their tokens.

Revision ID: 0007
Revises: 0006
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _blob(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def _moment(name: str, *, nullable: bool = False, default: sa.TextClause | None = None) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    op.create_table(
        "lookup_keys",
        _id("name"),
        _blob("sealed"),
        _moment("created_at", default=sa.text("now()")),
        sa.PrimaryKeyConstraint("name", name="pk_lookup_keys"),
    )
    op.create_table(
        "users",
        _id("id"),
        _blob("email"),
        _blob("email_hash"),
        _text("name"),
        _text("status"),
        _text("password_hash", ""),
        sa.Column("roles", JSONB(), nullable=False, server_default=sa.text("'[\"customer\"]'::jsonb")),
        _text("locale", "en"),
        _text("time_zone", "UTC"),
        _moment("verified_at", nullable=True),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email_hash", name="uq_users_email_hash"),
        sa.CheckConstraint("status IN ('pending', 'active', 'suspended', 'deleted')", name=op.f("ck_users_status")),
    )
    op.create_table(
        "memberships",
        _id("user_id"),
        _id("organization_id"),
        _text("role"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("user_id", "organization_id", "role", name="pk_memberships"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_memberships_user_id_users"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_memberships_organization_id_organizations"
        ),
    )
    op.create_index("ix_memberships_organization_id_user_id", "memberships", ["organization_id", "user_id"])
    _create_proofs()


def _create_proofs() -> None:
    op.create_table(
        "logins",
        _id("id"),
        _id("user_id"),
        _id("organization_id", nullable=True),
        _text("device"),
        _moment("auth_time"),
        _moment("created_at"),
        _moment("last_used_at"),
        _moment("expires_at"),
        _moment("revoked_at", nullable=True),
        _text("revoked_for", ""),
        sa.PrimaryKeyConstraint("id", name="pk_logins"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_logins_user_id_users"),
    )
    op.create_index("ix_logins_user_id_last_used_at", "logins", ["user_id", "last_used_at"])
    op.create_table(
        "refresh_tokens",
        _blob("hash"),
        _id("login_id"),
        _moment("issued_at"),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        _blob("successor", nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["login_id"], ["logins.id"], name="fk_refresh_tokens_login_id_logins", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_refresh_tokens_login_id", "refresh_tokens", ["login_id"])
    op.create_table(
        "one_time_tokens",
        _blob("hash"),
        _text("purpose"),
        _id("user_id"),
        _blob("payload"),
        _moment("issued_at"),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_one_time_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_one_time_tokens_user_id_users", ondelete="CASCADE"),
        sa.CheckConstraint("purpose IN ('verify', 'reset', 'email')", name=op.f("ck_one_time_tokens_purpose")),
    )
    op.create_index("ix_one_time_tokens_user_id_issued_at", "one_time_tokens", ["user_id", "issued_at"])
    op.create_table(
        "login_failures",
        _blob("email_hash"),
        sa.Column("count", sa.Integer(), nullable=False),
        _moment("last_at"),
        _moment("locked_until", nullable=True),
        sa.PrimaryKeyConstraint("email_hash", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last_at", "login_failures", ["last_at"])


def downgrade() -> None:
    for table in (
        *("login_failures", "one_time_tokens", "refresh_tokens"),
        *("logins", "memberships", "users", "lookup_keys"),
    ):
        op.drop_table(table)
