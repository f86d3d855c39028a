"""Organizations have a version, which each change of what is shown of them raises.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organizations", sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("1")))


def downgrade() -> None:
    op.drop_column("organizations", "version")
