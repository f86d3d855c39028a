"""Folding journal rows into a state: the one place where recorded events are applied again."""

from typing import Any

from actors.runtime.codec import KindCodec
from actors.runtime.entity import Meta
from storage.journal.interface import NewRow, Row


class JournalGapError(Exception):
    """Rows of one entity are not consecutive: the journal is damaged, or was read wrongly."""


def meta_of(row: Row | NewRow) -> Meta:
    return Meta(row.version, row.time_ms, row.actor, row.device, row.command_id)


def apply_row(codec: KindCodec[Any], state: Any, version: int, row: Row) -> Any:
    """The state after `row`, given the state at `version`. Raises `JournalGapError` if `row` is not the next one."""
    if row.version != version + 1:
        raise JournalGapError(f"{row.kind}/{row.id}: version {row.version} follows {version}")
    meta = meta_of(row)
    for event in codec.events(row.id, row.version, row.payload):
        state = codec.kind.apply(state, event, meta)
    return state
