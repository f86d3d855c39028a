"""All checks at the end: one walk through the journal in its order, with every second bookkeeping beside it.

1 convergence, 2 one outcome, 3 stable results, 4 nothing stale, 5 in order, 6 signed stays. The first is `quiet`'s.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.entity import Actor, Context
from actors.runtime.replay import meta_of
from domain.errors import AtriumError
from domain.hlc import restamped
from tests.simulation.tablets.board import Door
from tests.simulation.tablets.book import Stored
from tests.simulation.tablets.charts import Chart
from tests.simulation.tablets.outcomes import ONE_OUTCOME, Outcomes
from tests.simulation.tablets.truth import CODECS, Fold, truth

if TYPE_CHECKING:
    from tests.simulation.tablets.town import Town

_pack = msgspec.msgpack.Encoder().encode


def check_all(town: "Town") -> None:
    folds = truth(town)
    outcomes = Outcomes(town, folds)
    outcomes.check()
    for fold in folds.values():
        _walk(town, fold, outcomes)


def _walk(town: "Town", fold: Fold, outcomes: Outcomes) -> None:
    """Once more from the beginning, so that every state on the way can be asked."""
    chart = Chart(town.record, fold.ent) if fold.kind == "document" else None
    door = Door(town.record, fold.ent) if fold.kind == "room" else None
    kind, state = CODECS[fold.kind].kind, None
    claims = town.noops.get(fold.ent, {})
    for fact in fold.facts:
        for event in fact.events:
            state = kind.apply(state, event, meta_of(fact.row))
        stored = outcomes.source.get((fold.ent, fact.row.version))
        if chart is not None:
            chart.row(fact, stored, state)
        if door is not None:
            door.row(fact, stored)
        for claim in claims.pop(fact.row.version, ()):
            _check_noop(town, claim, fold, state, fact.row.version, fact.row.time_ms)
    if chart is not None:
        chart.end(state)
    if door is not None:
        door.end(state)
    for left in claims.values():
        town.record.violate(ONE_OUTCOME, f"{left[0]}: recorded as applied at a version that never was")


def _check_noop(town: "Town", stored: Stored, fold: Fold, state: Any, version: int, now_ms: int) -> None:
    """What is recorded as applied and made no row: was there nothing to do at that version?"""
    body = stored.body
    fields = {name: value for name, value in body["args"].items() if name != "proof"}
    if "base_fver" in body:
        fields["base_version"] = body["base_fver"]
    actor: Actor = town.actors[stored.key.identity.subject]
    if body["op"] == "resolve" and fold.kind == "session":
        return  # another has resolved it meanwhile
    hlc, hlc_raw = restamped(body["hlc"], now_ms)
    ctx = Context(
        fold.kind, fold.id, version, now_ms, actor, stored.key.identity.device_id, stored.command_id, hlc, hlc_raw
    )
    codec = CODECS[fold.kind]
    try:
        decision = codec.kind.decide(state, codec.command(_pack({**fields, "type": body["op"]})), ctx)
    except AtriumError as error:
        town.record.violate(ONE_OUTCOME, f"{stored}: recorded as applied without a row, at v{version} it is {error}")
        return
    if decision.events:
        what = f"{stored}: recorded as applied without a row, at v{version} it is {decision.events}"
        town.record.violate(ONE_OUTCOME, what)
