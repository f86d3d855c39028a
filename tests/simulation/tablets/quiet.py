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

_EMPTY_WITHIN_S = 120.0
_CURRENT_WITHIN_S = 30.0
_REST_S = 1.0


async def come_to_rest(town: "Town") -> None:
    """Copies of one installation go one after the other: together they would replace each other for ever."""
    groups: dict[tuple[str, str], list[Installation]] = {}
    for tablet in town.tablets:
        groups.setdefault(tablet.identity, []).append(tablet)
    for tablets in groups.values():
        for tablet in tablets:
            town.network.out_of_reach[tablet.label] = float("inf")
            town.network.lose(tablet.label, silently=False)
    await asyncio.sleep(0.5)
    await asyncio.gather(*(_empty_all(town, tablets) for tablets in groups.values()))
    await asyncio.sleep(_REST_S)
    await asyncio.gather(*(_compare_all(town, tablets) for tablets in groups.values()))


async def _empty_all(town: "Town", tablets: list[Installation]) -> None:
    for tablet in tablets:
        await _with_network(town, tablet, _EMPTY_WITHIN_S, _is_empty, "its queue is not empty")


async def _compare_all(town: "Town", tablets: list[Installation]) -> None:
    for tablet in tablets:
        await _with_network(town, tablet, _CURRENT_WITHIN_S, _is_current, "its replicas are not what the server has")


async def _with_network(town: "Town", tablet: Installation, seconds: float, done: Done, what: str) -> None:
    app = tablet.app
    assert app is not None
    town.network.out_of_reach.pop(tablet.label, None)
    for channel in tablet.channels:
        app.process.context.run(app.client.follow, channel)
    app.online()
    deadline = town.loop.time() + seconds
    while not (why := done(town, tablet)) == "":
        if town.loop.time() >= deadline:
            promise = "1 convergence" if done is _is_current else "2 an outcome for everything"
            town.record.violate(promise, f"{app.name}: {what}: {why}")
            break
        if app.live.over is not None and app.live.link._runner is not None and app.live.link._runner.done():
            app.online()
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.05)
    town.network.out_of_reach[tablet.label] = float("inf")
    town.network.lose(tablet.label, silently=False)


def _is_empty(town: "Town", tablet: Installation) -> str:
    app = tablet.app
    assert app is not None
    first = app.client.queue.after(0)
    return "" if first is None else f"{len(app.client.queue)} commands wait, first {first}; {app.live.over}"


def _is_current(town: "Town", tablet: Installation) -> str:
    """"" once every channel shows exactly what the journal folds to."""
    app = tablet.app
    assert app is not None
    return differences(town, app)
