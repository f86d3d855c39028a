"""The live core: leases, shards, journal, snapshots, reminders, index rows, catalog, reactions."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from storage.journal.shards import SHARDS
from storage.models.base import Xid8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _id(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), **{"nullable": False, **options})


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), **{"nullable": False, **options})


def _big(name: str, *more: Any, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), *more, **{"nullable": False, **options})


def _int(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), **{"nullable": False, **options})


def _small(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), **{"nullable": False, **options})


def _moment(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **{"nullable": False, **options})


def _now(name: str) -> sa.Column[Any]:
    return _moment(name, server_default=sa.text("now()"))


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _index(table: str, *columns: str, **options: Any) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns), **options)


def upgrade() -> None:
    _placement()
    _journal()
    _carts()
    _orders()
    _catalog()
    _reactions()


def _placement() -> None:
    op.execute("CREATE SEQUENCE host_epochs")
    op.create_table(
        "hosts",
        _id("host"),
        _big("epoch"),
        sa.Column("wanted", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_hosts"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "shards",
        _small("shard", autoincrement=False),
        _id("host", nullable=True),
        sa.ForeignKeyConstraint(["host"], ["hosts.host"], name="fk_shards_host_hosts"),
        sa.PrimaryKeyConstraint("shard", name="pk_shards"),
    )
    op.create_table(
        "shard_map",
        _small("id", autoincrement=False),
        _big("version"),
        sa.CheckConstraint("id = 1", name="ck_shard_map_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_shard_map"),
    )
    op.execute(f"INSERT INTO shards (shard) SELECT generate_series(0, {SHARDS - 1})")
    op.execute("INSERT INTO shard_map (id, version) VALUES (1, 1)")


def _journal() -> None:
    op.create_table(
        "journal",
        _big("position", sa.Identity(always=True)),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        _big("version"),
        _moment("time"),
        sa.Column("command_id", sa.Uuid(), nullable=False),
        _small("shard"),
        _id("kind"),
        _id("id"),
        _blob("command_hash"),
        _text("actor"),
        _text("device"),
        _text("correlation"),
        _blob("payload"),
        sa.PrimaryKeyConstraint("kind", "id", "version", name="pk_journal"),
        sa.UniqueConstraint("command_id", "kind", "id", name="uq_journal_command_id_kind_id"),
        postgresql_with={
            "autovacuum_vacuum_insert_scale_factor": "0.05",
            "autovacuum_analyze_scale_factor": "0.05",
        },
    )
    _index("journal", "xid", "position")
    op.create_table(
        "snapshots",
        _id("kind"),
        _id("id"),
        _small("shard"),
        _big("version"),
        _small("schema"),
        _blob("data"),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_snapshots"),
    )
    op.create_table(
        "reminders",
        _id("kind"),
        _id("id"),
        _id("name"),
        _small("shard"),
        _moment("due_at"),
        sa.PrimaryKeyConstraint("kind", "id", "name", name="pk_reminders"),
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.05"},
    )
    _index("reminders", "shard", "due_at")


def _carts() -> None:
    op.create_table(
        "carts",
        _id("id"),
        _big("version"),
        _id("owner"),
        _id("merchant_id", nullable=True),
        _text("status"),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_carts"),
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.1"},
    )
    _index("carts", "owner", "created_at", "id")
    _index("carts", "merchant_id", "created_at", "id")


def _orders() -> None:
    op.create_table(
        "orders",
        _id("id"),
        _big("version"),
        _id("user_id"),
        _id("merchant_id"),
        _id("courier_id", nullable=True),
        _text("status"),
        _text("currency"),
        _big("total_minor"),
        _int("lines_count"),
        _id("cart_id", nullable=True),
        _moment("placed_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.1"},
    )
    _index("orders", "user_id", "placed_at", "id")
    _index("orders", "merchant_id", "placed_at", "id")
    _index("orders", "merchant_id", "status", "placed_at", "id")
    _index("orders", "courier_id", "placed_at", "id", postgresql_where=sa.text("courier_id IS NOT NULL"))


def _catalog() -> None:
    op.create_table(
        "organizations",
        _id("id"),
        _text("kind"),
        _text("name"),
        _text("currency"),
        _text("city", server_default=""),
        _text("country", server_default=""),
        _text("time_zone", server_default="UTC"),
        _int("accept_within_ms", server_default=sa.text("600000")),
        _big("service_fee_minor", server_default=sa.text("0")),
        _big("delivery_fee_minor", server_default=sa.text("0")),
        _big("minimum_order_minor", server_default=sa.text("0")),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.CheckConstraint("kind IN ('merchant', 'clinic', 'organizer')", name="ck_organizations_kind"),
        sa.CheckConstraint("accept_within_ms > 0", name="ck_organizations_accept_within"),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
    )
    _index("organizations", "kind", "country", "city", "id")
    op.create_table(
        "products",
        _id("id"),
        _id("merchant_id"),
        _text("name"),
        _text("sku", server_default=""),
        _text("category", server_default=""),
        _big("price_minor"),
        _text("currency"),
        sa.Column("options", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        _int("max_quantity", server_default=sa.text("99")),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.CheckConstraint("price_minor >= 0", name="ck_products_price"),
        sa.CheckConstraint("max_quantity > 0", name="ck_products_max_quantity"),
        sa.ForeignKeyConstraint(["merchant_id"], ["organizations.id"], name="fk_products_merchant_id_organizations"),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
    )
    _index("products", "merchant_id", "id")
    op.create_index(
        "uq_products_merchant_id_sku",
        "products",
        ["merchant_id", "sku"],
        unique=True,
        postgresql_where=sa.text("sku <> ''"),
    )


def _reactions() -> None:
    op.create_table(
        "reaction_cursors",
        _id("name"),
        _big("xid", server_default=sa.text("0")),
        _big("position", server_default=sa.text("0")),
        _id("holder", nullable=True),
        _moment("held_until", nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_reaction_cursors"),
    )
    row = ("reaction", "kind", "entity_id", "version")
    op.create_table(
        "reaction_retries",
        _id("reaction"),
        _id("kind"),
        _id("entity_id"),
        _big("version"),
        _int("attempts"),
        _moment("due_at"),
        _text("error"),
        sa.PrimaryKeyConstraint(*row, name="pk_reaction_retries"),
    )
    _index("reaction_retries", "reaction", "due_at")
    op.create_table(
        "dead_letters",
        _id("id"),
        _id("reaction"),
        _id("kind"),
        _id("entity_id"),
        _big("version"),
        _int("attempts"),
        _text("error"),
        _now("failed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
        sa.UniqueConstraint(*row, name="uq_dead_letters_reaction_kind_entity_id_version"),
    )
    _index("dead_letters", "failed_at", "id")


def downgrade() -> None:
    for table in (
        *("dead_letters", "reaction_retries", "reaction_cursors", "products", "organizations", "orders"),
        *("carts", "reminders", "snapshots", "journal", "shard_map", "shards", "hosts"),
    ):
        op.drop_table(table)
    op.execute("DROP SEQUENCE host_epochs")
