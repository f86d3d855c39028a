"""The audit trail is chained: each event carries the hash of what came before. What there is, is chained here."""

import sqlalchemy as sa
from alembic import op

from storage.audit_chain import START, TEXTS, Head, hash_after

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PAGE = 5_000
_EVENTS = sa.text(
    f"SELECT position, (extract(epoch FROM at) * 1000000)::bigint, {', '.join(TEXTS)} "  # noqa: S608 - of constants
    "FROM audit_events WHERE position > :after ORDER BY position LIMIT :limit"
)
_CHAIN = sa.text(
    "UPDATE audit_events SET hash = given.hash FROM unnest(CAST(:positions AS bigint[]), CAST(:hashes AS bytea[])) "
    "AS given(position, hash) WHERE audit_events.position = given.position"
)


def upgrade() -> None:
    op.create_table(
        "audit_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_head_one_row")),
        postgresql_with={"fillfactor": "50"},
    )
    op.add_column("audit_events", sa.Column("hash", sa.LargeBinary(), nullable=True))
    op.execute("ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay")
    head = _chain()
    op.execute("ALTER TABLE audit_events ENABLE TRIGGER audit_events_stay")
    op.alter_column("audit_events", "hash", nullable=False)
    op.execute("ALTER TABLE audit_events ALTER COLUMN position DROP IDENTITY")
    op.get_bind().execute(
        sa.text("INSERT INTO audit_head (id, position, hash) VALUES (1, :position, :hash)"),
        {"position": head.position, "hash": head.hash},
    )


def _chain() -> Head:
    """Chain what there is; the head after it."""
    bind, head = op.get_bind(), START
    while rows := bind.execute(_EVENTS, {"after": head.position, "limit": _PAGE}).all():
        positions, hashes = [], []
        for position, at_us, *texts in rows:
            head = Head(position, hash_after(head.hash, position, at_us, texts))
            positions.append(position)
            hashes.append(head.hash)
        bind.execute(_CHAIN, {"positions": positions, "hashes": hashes})
    return head


def downgrade() -> None:
    op.execute("ALTER TABLE audit_events ALTER COLUMN position ADD GENERATED ALWAYS AS IDENTITY")
    op.execute(
        "SELECT setval(pg_get_serial_sequence('audit_events', 'position'), coalesce(max(position), 0) + 1, false) "
        "FROM audit_events"
    )
    op.drop_column("audit_events", "hash")
    op.drop_table("audit_head")
