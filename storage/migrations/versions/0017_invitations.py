"""Invitations to organizations.

Revision ID: 0017
Revises: 0016
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _id(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "invitations",
        _id("id"),
        _id("organization_id"),
        _blob("email"),
        _blob("email_hash"),
        sa.Column("roles", postgresql.JSONB(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        _blob("hash"),
        _id("invited_by"),
        _moment("created_at"),
        _moment("expires_at"),
        _moment("accepted_at", nullable=True),
        _id("accepted_by", nullable=True),
        _moment("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("hash", name="uq_invitations_hash"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_invitations_organization_id_organizations"
        ),
    )
    op.create_index("ix_invitations_organization_id", "invitations", ["organization_id", "id"])
    op.create_index("ix_invitations_email_hash", "invitations", ["email_hash"])


def downgrade() -> None:
    op.drop_table("invitations")
