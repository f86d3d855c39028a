"""People's names and numbers sealed and findable, their preferences, coarse positions, and versions.

Names that are there stay readable until a gateway has sealed them (`PeopleTables.seal_names`): a migration has no keys.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("users", "name", server_default="")
    op.add_column("users", sa.Column("profile", sa.LargeBinary(), nullable=True))
    op.add_column("users", sa.Column("preferences", JSONB(), nullable=True))
    op.add_column("users", sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"))
    op.add_column("users", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_users_deleted_at", "users", ["deleted_at"], postgresql_where=sa.text("deleted_at IS NOT NULL"))
    op.create_table(
        "user_search",
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("words", TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_search"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_search_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_user_search_words", "user_search", ["words"], postgresql_using="gin")
    op.create_table(
        "user_positions",
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.LargeBinary(), nullable=False),
        sa.Column("consented_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_user_positions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_positions_user_id_users", ondelete="CASCADE"),
    )
    op.create_index("ix_user_positions_expires_at", "user_positions", ["expires_at"])


def downgrade() -> None:
    """Names that are sealed by now are lost to the older release."""
    op.drop_table("user_positions")
    op.drop_table("user_search")
    for column in ("deleted_at", "version", "preferences", "profile"):
        op.drop_column("users", column)
    op.alter_column("users", "name", server_default=None)
