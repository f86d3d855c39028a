"""What runs out of the tables, batch by batch. A statement of a rule is a transaction of its own."""

from typing import Final

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert

from storage.db import Database
from storage.models import RetentionMark
from storage.times import from_ms, to_ms


class RowRule(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of `table` (its key: `key`) for which `condition` holds run out; `:before` is the moment in it.

    `person`: the column, or in parentheses the query, that names somebody, of whom nothing runs out while a legal hold
    is in force; "" for none.
    """

    table: str
    key: tuple[str, ...]
    condition: str
    person: str = ""


class EntityRule(msgspec.Struct, frozen=True, kw_only=True):
    """Live entities by their index row: those whose `at` is before the moment, after the rule's mark."""

    table: str
    condition: str
    person: str
    at: str = "updated_at"


class Due(msgspec.Struct, frozen=True):
    id: str
    at_ms: int


_FREE: Final = "NOT EXISTS (SELECT 1 FROM legal_holds h WHERE h.released_at IS NULL AND h.user_id = {person})"


class RetentionTables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, rule: RowRule, before_ms: int) -> int:
        statement = text(f"SELECT count(*) FROM {rule.table} WHERE {_where(rule)}")  # noqa: S608 - rules are of this program
        async with self._database.session() as session:
            return await session.scalar(statement, {"before": from_ms(before_ms)}) or 0

    async def delete(self, rule: RowRule, before_ms: int, limit: int) -> int:
        """At most `limit` rows; how many there were."""
        key = ", ".join(rule.key)
        some = f"SELECT {key} FROM {rule.table} WHERE {_where(rule)} LIMIT :limit FOR UPDATE SKIP LOCKED"  # noqa: S608
        statement = text(f"DELETE FROM {rule.table} WHERE ({key}) IN ({some}) RETURNING 1")  # noqa: S608
        async with self._database.session() as session:
            return len((await session.execute(statement, {"before": from_ms(before_ms), "limit": limit})).all())

    async def due(self, rule: EntityRule, mark: Due, before_ms: int, limit: int) -> list[Due]:
        """Entities behind the mark, in the order of (at, id)."""
        statement = text(
            f"SELECT id, {rule.at} FROM {rule.table} WHERE {_where(rule)} AND {rule.at} <= :before "  # noqa: S608
            f"AND ({rule.at}, id) > (:at, :id) ORDER BY {rule.at}, id LIMIT :limit"
        )
        values = {"before": from_ms(before_ms), "at": from_ms(mark.at_ms), "id": mark.id, "limit": limit}
        async with self._database.session() as session:
            return [Due(id_, to_ms(at)) for id_, at in (await session.execute(statement, values)).all()]

    async def mark(self, rule: str) -> Due:
        """How far a rule has come."""
        query = select(RetentionMark.id, RetentionMark.at).where(RetentionMark.rule == rule)
        async with self._database.session() as session:
            found = (await session.execute(query)).first()
        return Due("", 0) if found is None else Due(found[0], to_ms(found[1]))

    async def put_mark(self, rule: str, mark: Due) -> None:
        values = {"rule": rule, "at": from_ms(mark.at_ms), "id": mark.id}
        statement = insert(RetentionMark).values(values)
        async with self._database.session() as session:
            await session.execute(statement.on_conflict_do_update(index_elements=["rule"], set_=values))

    async def now_ms(self) -> int:
        """The database's clock: rules go by it, whatever machine they run on."""
        async with self._database.session() as session:
            return to_ms((await session.execute(select(func.now()))).scalar_one())


def _where(rule: RowRule | EntityRule) -> str:
    person = rule.person if rule.person.startswith("(") else f"{rule.table}.{rule.person}"
    free = _FREE.format(person=person) if rule.person else ""
    return f"({rule.condition})" + (f" AND {free}" if free else "")
