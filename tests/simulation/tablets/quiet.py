"""After the last fault: every queue runs empty, every replica becomes what the server has."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.tablets.apps import Installation
from tests.simulation.tablets.truth import differences

if TYPE_CHECKING:
    from tests.simulation.tablets.town import Town

Done = Callable[["Town", Installation], str]
"""What is missing yet, "" when nothing is."""

CONVERGENCE = "1 convergence"
ONE_OUTCOME = "2 one outcome"
_EMPTY_WITHIN_S = 120.0
_CURRENT_WITHIN_S = 30.0
_REST_S = 1.0


async def come_to_rest(town: "Town") -> None:
    """Copies of one installation go one after the other: together they would replace each other for ever. All others
    keep their connection, so that what they see is what they were told and not what they asked for at the end."""
    groups: dict[tuple[str, str], list[Installation]] = {}
    for tablet in town.tablets:
        groups.setdefault(tablet.identity, []).append(tablet)
    for tablets in groups.values():
        if len(tablets) > 1:
            for tablet in tablets:
                _cut(town, tablet)
    await asyncio.gather(*(_each(town, tablets, _EMPTY_WITHIN_S, _is_empty) for tablets in groups.values()))
    await asyncio.sleep(_REST_S)
    await asyncio.gather(*(_each(town, tablets, _CURRENT_WITHIN_S, _is_current) for tablets in groups.values()))


async def _each(town: "Town", tablets: list[Installation], seconds: float, done: Done) -> None:
    for tablet in tablets:
        town.network.out_of_reach.pop(tablet.label, None)
        await _until(town, tablet, seconds, done)
        await asyncio.sleep(0.05)
        if len(tablets) > 1:
            _cut(town, tablet)


async def _until(town: "Town", tablet: Installation, seconds: float, done: Done) -> None:
    app = tablet.app
    assert app is not None
    for channel in tablet.channels:
        app.process.context.run(app.client.follow, channel)
    deadline = town.loop.time() + seconds
    while (why := done(town, tablet)) != "":
        if town.loop.time() >= deadline:
            promise = CONVERGENCE if done is _is_current else ONE_OUTCOME
            town.record.violate(promise, f"{app.name} is not at rest: {why}")
            return
        if app.live.over is not None:
            app.online()
        await asyncio.sleep(0.1)


def _cut(town: "Town", tablet: Installation) -> None:
    town.network.out_of_reach[tablet.label] = float("inf")
    town.network.lose(tablet.label, silently=False)


def _is_empty(town: "Town", tablet: Installation) -> str:
    app = tablet.app
    assert app is not None
    first = app.client.queue.after(0)
    return "" if first is None else f"{len(app.client.queue)} commands wait, first {first}; {app.live.over}"


def _is_current(town: "Town", tablet: Installation) -> str:
    """ "" once every channel shows exactly what the journal folds to."""
    app = tablet.app
    assert app is not None
    return differences(town, app)
