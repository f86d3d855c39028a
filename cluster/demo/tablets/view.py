"""The play as it is seen: two tablets side by side, the board below, what has happened so far.

What is taken from the live devices is plain data (`TabletSight`, `BoardSight`); the rest draws it. A `•` marks what
the server has not confirmed yet.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from cluster.demo.tablets.seats import Board, Seat
from cluster.demo.tablets.world import Clinic
from domain.dose import dose_text, thousandths_of
from realtime.client.optimism import PendingEdit

PENDING: Final = "•"
STEPS_SHOWN: Final = 8
_FRAMES: Final = 5
"""Lines that are neither rows of a screen nor steps."""
_SPACES: Final = (0, 1)


class Line(msgspec.Struct, frozen=True):
    """A row of a screen: what, and its value. `pending`: not confirmed yet; `alarm`: somebody has to look."""

    name: str
    value: str
    pending: bool = False
    alarm: bool = False


class TabletSight(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    online: bool
    queued: int
    lines: tuple[Line, ...]


class RoomSight(msgspec.Struct, frozen=True, kw_only=True):
    """`people`: who shows themselves there, and at what."""

    name: str
    status: str
    claim: str = ""
    people: tuple[str, ...] = ()


class BoardSight(msgspec.Struct, frozen=True, kw_only=True):
    online: bool
    rooms: tuple[RoomSight, ...]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment."""

    tablets: tuple[TabletSight, ...]
    board: BoardSight


class Step(msgspec.Struct, frozen=True):
    """Something that happened, in seconds after the curtain. `picture`: worth a look, also where nothing moves."""

    at_s: float
    text: str
    picture: Picture | None = None


# -- looking ----------------------------------------------------------------------------------------


def look_at_tablet(seat: Seat, clinic: Clinic, room_id: str, document_id: str, points: dict[str, str]) -> TabletSight:
    """`points` are the names of planned points by id."""
    tablet = seat.tablet
    room, chart = tablet.state(f"room/{room_id}"), tablet.state(f"document/{document_id}")
    lines = _room_lines(room or {}, tablet.pending(f"room/{room_id}"), clinic)
    if chart is not None:
        lines += _chart_lines(chart, tablet.pending(f"document/{document_id}"), clinic, points)
    waiting = (tablet.state(tablet.session.ent) or {}).get("quarantine", {})
    lines += [Line("quarantine", f"{item['op']}: {item['code']}", alarm=True) for item in waiting.values()]
    return TabletSight(name=seat.person.name, online=seat.online, queued=len(tablet.queue), lines=tuple(lines))


def look_at_board(board: Board, clinic: Clinic) -> BoardSight:
    there: dict[str, list[str]] = {}
    for person in board.rooms.people.values():
        shown = person.get("state", {})
        if "room" in shown:
            there.setdefault(shown["room"], []).append(f"{clinic.name_of(person['subject'])}: {shown['doing']}")
    rooms = []
    for name, room_id in clinic.rooms.items():
        state = board.state(room_id)
        claim = state.get("claim", {}).get("by", "")
        rooms.append(
            RoomSight(
                name=name,
                status=_room_status(state),
                claim=clinic.name_of(claim) if claim else "",
                people=tuple(sorted(there.get(room_id, ()))),
            )
        )
    return BoardSight(online=board.online, rooms=tuple(rooms))


def _room_lines(room: dict[str, Any], pending: Sequence[PendingEdit], clinic: Clinic) -> list[Line]:
    claim = room.get("claim", {}).get("by", "")
    held = f", claimed by {clinic.name_of(claim)}" if claim else ""
    return [Line("room", f"{_room_status(room)}{held}", pending=bool(pending))]


def _room_status(room: dict[str, Any]) -> str:
    status, reason = str(room.get("status", "unknown")), room.get("waiting_for", "")
    return f"{status} ({reason})" if reason else status


def _chart_lines(
    chart: dict[str, Any], pending: Sequence[PendingEdit], clinic: Clinic, points: dict[str, str]
) -> list[Line]:
    registers = {one.chain for one in pending if one.chain}
    touched = {one.edit.args.get("point_id", "") for one in pending}
    lines = [Line("chart", chart["status"], pending=any(one.edit.op in {"create", "set_status"} for one in pending))]
    lines += [
        Line(name.rpartition(".")[2], str(field["value"]), pending=name in registers, alarm="conflicts" in field)
        for name, field in chart.get("fields", {}).items()
    ]
    lines += [
        Line(points.get(key, "point"), _point(point), pending=key in touched)
        for key, point in chart.get("points", {}).items()
    ]
    lines += [Line("vial", _drawn(key, vial, chart)) for key, vial in chart.get("containers", {}).items()]
    noted = any(one.edit.op == "append_note" for one in pending)
    lines += [Line("notes", str(len(chart["notes"])), pending=noted)] if chart.get("notes") else []
    lines += [Line("alert", alert["kind"], alarm=True) for alert in chart.get("alerts", {}).values()]
    lines += [
        Line("conflict", _conflict(conflict, clinic), alarm=True)
        for conflict in chart.get("conflicts", {}).values()
        if conflict["status"] == "open"
    ]
    lines += [Line("signed", one["printed_name"]) for one in chart.get("signatures", {}).values()]
    return lines


def _point(point: dict[str, Any]) -> str:
    injection = point.get("injection")
    if injection is not None:
        return f"{injection['dose']} {injection['unit']} injected"
    plan = point.get("plan", {})
    return f"{plan.get('dose', '?')} {plan.get('unit', '')} planned" if plan else "nothing planned"


def _drawn(container_id: str, vial: dict[str, Any], chart: dict[str, Any]) -> str:
    injections = [point.get("injection", {}) for point in chart.get("points", {}).values()]
    drawn = sum(thousandths_of(one["dose"]) for one in injections if one.get("container_id") == container_id)
    return f"{dose_text(drawn)} of {vial['amount']} {vial['unit']} drawn"


def _conflict(conflict: dict[str, Any], clinic: Clinic) -> str:
    sides = (conflict["current"], conflict["offered"])
    return " or ".join(f"{side['value']} ({clinic.name_of(side['by'])})" for side in sides)


# -- drawing ----------------------------------------------------------------------------------------


def draw(picture: Picture, steps: Sequence[Step] = (), height: int = 0) -> RenderableType:
    """`height`: lines that there are; with fewer, fewer steps are shown. 0: enough."""
    tablets = Table.grid(expand=True, padding=0)
    for _ in picture.tablets:
        tablets.add_column(ratio=1)
    tallest = max((len(tablet.lines) for tablet in picture.tablets), default=0)
    tablets.add_row(*(_draw_tablet(tablet, tallest) for tablet in picture.tablets))
    parts: list[RenderableType] = [tablets, _draw_board(picture.board)]
    room = height - tallest - len(picture.board.rooms) - _FRAMES if height else STEPS_SHOWN
    last = steps[-min(STEPS_SHOWN, max(1, room)) :]
    if last:
        parts.append("\n".join(f"[dim]{step.at_s:6.2f} s[/]  {escape(step.text)}" for step in last))
    return Group(*parts)


def _draw_tablet(tablet: TabletSight, height: int) -> Panel:
    rows = Table.grid(padding=(0, 2, 0, 0), expand=True)
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(ratio=1, overflow="fold")
    for line in tablet.lines:
        mark = f" [yellow]{PENDING}[/]" if line.pending else ""
        style = "bold red" if line.alarm else "none"
        rows.add_row(line.name, f"[{style}]{escape(line.value)}[/]{mark}")
    for _ in range(height - len(tablet.lines)):
        rows.add_row("", "")
    link = "[green]online[/]" if tablet.online else "[bold red]offline[/]"
    queued = f", {tablet.queued} queued" if tablet.queued else ""
    title = f"{tablet.name}'s tablet: {link}{queued}"
    return Panel(rows, title=title, title_align="left", box=box.ROUNDED, padding=_SPACES)


def _draw_board(board: BoardSight) -> Panel:
    rows = Table.grid(padding=(0, 3, 0, 0), expand=True)
    for ratio in (1, 2, 2, 3):
        rows.add_column(ratio=ratio, overflow="fold")
    for room in board.rooms:
        claim = f"claimed by {room.claim}" if room.claim else ""
        rows.add_row(room.name, escape(room.status), escape(claim), escape(", ".join(room.people)))
    link = "" if board.online else ": [bold red]offline[/]"
    return Panel(rows, title=f"the board{link}", title_align="left", box=box.ROUNDED, padding=_SPACES)
