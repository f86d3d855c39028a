"""Second factors: authenticator apps, passkeys, recovery codes, and the challenges that ask for them.

Revision ID: 0009
Revises: 0008
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PURPOSES = "'login', 'enrolment', 'passkey_registration', 'passkey_login'"


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))


def _texts(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb"))


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id_users", ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("logins", _texts("amr"))
    op.create_table(
        "totp_factors",
        _id("id"),
        _id("user_id"),
        _text("name"),
        _blob("secret"),
        _big("last_step"),
        _moment("created_at"),
        _moment("confirmed_at", nullable=True),
        _moment("last_used_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_totp_factors"),
        sa.UniqueConstraint("user_id", name="uq_totp_factors_user_id"),
        _of_user("totp_factors"),
    )
    op.create_table(
        "passkeys",
        _id("id"),
        _blob("credential_id"),
        _id("user_id"),
        _text("name"),
        _blob("public_key"),
        _big("sign_count"),
        _texts("transports"),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        _moment("created_at"),
        _moment("last_used_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
        _of_user("passkeys"),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])
    op.create_table(
        "recovery_codes",
        _id("user_id"),
        _blob("hash"),
        _moment("created_at"),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("user_id", "hash", name="pk_recovery_codes"),
        _of_user("recovery_codes"),
    )
    op.create_table(
        "factor_challenges",
        _blob("hash"),
        _text("purpose"),
        _id("user_id", nullable=True),
        _text("device", ""),
        _id("organization_id", nullable=True),
        _texts("amr"),
        _moment("issued_at"),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_factor_challenges"),
        sa.CheckConstraint(f"purpose IN ({PURPOSES})", name=op.f("ck_factor_challenges_purpose")),
        _of_user("factor_challenges"),
    )
    op.create_index("ix_factor_challenges_expires_at", "factor_challenges", ["expires_at"])


def downgrade() -> None:
    for table in ("factor_challenges", "recovery_codes", "passkeys", "totp_factors"):
        op.drop_table(table)
    op.drop_column("logins", "amr")
