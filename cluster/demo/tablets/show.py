"""The play while it is performed: three screens that move on a terminal; elsewhere a line for each step."""

import asyncio
from typing import Final

from rich.console import Console
from rich.live import Live

from cluster.demo.tablets.play import Play
from cluster.demo.tablets.view import draw

PACE_S: Final = 0.8
"""A rest after each step where people watch it move."""
_REFRESH_SECONDS: Final = 0.1
_WIDTH: Final = 100
"""Columns of a picture where nobody's terminal says."""


async def show_play(play: Play, console: Console) -> None:
    """Show the play until cancelled."""
    if not console.is_terminal:
        await _lines(play, console)
        return
    with Live(console=console, refresh_per_second=int(1 / _REFRESH_SECONDS)) as live:
        try:
            while True:
                _update(live, play)
                await asyncio.sleep(_REFRESH_SECONDS)
        finally:
            _update(live, play)


def _update(live: Live, play: Play) -> None:
    picture = play.picture()
    if picture is not None:
        live.update(draw(picture, play.steps, live.console.height))


async def _lines(play: Play, console: Console) -> None:
    said = 0
    try:
        while True:
            said = _say(play, console, said)
            await asyncio.sleep(_REFRESH_SECONDS)
    finally:
        _say(play, console, said)


def _say(play: Play, console: Console, said: int) -> int:
    for step in play.steps[said:]:
        console.print(f"{step.at_s:6.2f} s  {step.text}", soft_wrap=True, markup=False)
        if step.picture is not None:
            console.print(draw(step.picture), width=min(_WIDTH, console.width))
    return len(play.steps)
