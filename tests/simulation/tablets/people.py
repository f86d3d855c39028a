"""What people do on their tablets, by what they see there: rooms, charts, signatures, where they are."""

import asyncio
from typing import TYPE_CHECKING, Any

from actors.parties import Party
from actors.room_status import TRANSITIONS, RoomStatus
from realtime.client.errors import StoreError
from tests.simulation.tablets.book import Body

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.tablets.apps import App
    from tests.simulation.tablets.town import Town

Edit = tuple[str, str, Body]
"""`ent`, `op`, `args`."""

_FIELDS = ("notes.plan", "dose.total", "skin.type")
_PRODUCTS = ("botulinum-a", "botulinum-b")
_DOSES = ("2", "2.5", "4", "10", "0.5")
_FACE = ((500, 300), (400, 200), (600, 200), (450, 500))
_OPEN = {"draft", "ready"}


class Person:
    """At one run of one tablet's program, until its edits are used up."""

    def __init__(self, town: "Town", app: "App") -> None:
        self._town = town
        self._app = app
        self._rng = town.rng
        self._client = app.client
        self._tablet = app.tablet
        self._label = app.tablet.label
        self._count = 0
        self._choices: list[tuple[int, Callable[[], Edit | None]]] = [
            (5, self._create),
            (26, self._set_field),
            (8, self._add_point),
            (8, self._plan_point),
            (9, self._set_point),
            (8, self._perform_point),
            (3, self._strike_point),
            (8, self._note),
            (4, self._container),
            (4, self._wastage),
            (5, self._resolve),
            (12, self._set_ready),
            (14, self._sign),
            (3, self._cosign),
            (3, self._addendum),
            (1, self._reject_cosign),
            (1, self._in_error),
            (2, self._join),
            (18, self._move_room),
            (6, self._claim),
            (4, self._release),
            (2, self._take_over),
            (2, self._undo),
            (7, self._enter),
            (7, self._leave),
            (5, self._open_document),
            (2, self._decide_quarantine),
            (1, self._nonsense),
        ]

    async def work(self) -> None:
        """Alone, in bursts: the pause between two edits is long or none."""
        tablet, rng = self._tablet, self._rng
        while tablet.edits_left > 0:
            pause = rng.expovariate(1 / self._town.profile.think_s)
            await asyncio.sleep(0.0 if rng.random() < 0.3 else pause)
            self.edit()
            self._follow()
            if self._app.live.over is not None and rng.random() < 0.3:
                await asyncio.sleep(rng.uniform(0.1, 2.0))
                self._client.online()

    def edit(self) -> None:
        """One command, if there is anything to do."""
        weights = [weight for weight, _ in self._choices]
        for _ in range(8):
            chosen = self._rng.choices([choice for _, choice in self._choices], weights)[0]()
            if chosen is None:
                continue
            self._tablet.edits_left -= 1
            try:
                self._app.submit(*chosen)
            except StoreError as error:
                self._town.record.violate("0 the simulation", f"{self._app.name} could not store: {error}")
            return
        self._tablet.edits_left -= 1

    def _follow(self) -> None:
        """A chart that was opened is followed by itself too."""
        documents = list(self._client.entities("document"))
        followed = [channel for channel in self._app.live._replicas if channel.startswith("document/")]
        if documents and len(followed) < 2 and self._rng.random() < 0.1:
            self._client.follow(self._rng.choice(documents))
        elif followed and self._rng.random() < 0.05:
            self._client.unfollow(self._rng.choice(followed))

    # -- charting ---------------------------------------------------------------------------------

    def _chart(self, *statuses: str) -> tuple[str, Any] | None:
        """A document that is seen in one of these statuses (any, if none is given)."""
        found = self._client.entities("document").items()
        fitting = [(ent, state) for ent, state in found if not statuses or state["status"] in statuses]
        return self._rng.choice(fitting) if fitting else None

    def _mostly(self, *statuses: str) -> tuple[str, Any] | None:
        """Mostly one that can be edited; now and then whichever."""
        return self._chart() if self._rng.random() < 0.15 else self._chart(*(statuses or _OPEN))

    def _create(self) -> Edit | None:
        if len(self._client.entities("document")) >= 2 and self._rng.random() < 0.85:
            return None
        town = self._town
        args: Body = {
            "organization_id": town.clinic,
            "location_id": town.location,
            "patient_id": f"patient-{self._rng.randrange(3)}",
            "template": "injection",
        }
        if self._rng.random() < 0.4:
            args["needs_cosign"] = True
        return f"document/{town.new_id()}", "create", args

    def _set_field(self) -> Edit | None:
        chart = self._mostly()
        if chart is None:
            return None
        ent, _ = chart
        name = self._rng.choice(_FIELDS)
        self._count += 1
        value: Any = self._rng.choice((f"{self._app.name}.{self._count}", f"{self._app.name}.{self._count}", "same", 5))
        return ent, "set_field", {"name": name, "value": value}

    def _position(self) -> Body:
        x, y = self._rng.choice(_FACE)
        return {"view": "front", "x": x, "y": y}

    def _injection(self) -> Body:
        rng = self._rng
        injection = {"product_id": rng.choice(_PRODUCTS), "dose": rng.choice(_DOSES), "unit": "U"}
        if rng.random() < 0.4:
            injection["container_id"] = rng.choice(("vial-1", "vial-2"))
        return injection

    def _add_point(self) -> Edit | None:
        chart = self._chart()
        if chart is None:
            return None
        return chart[0], "add_point", {"point_id": self._town.new_id(), **self._position(), **self._injection()}

    def _plan_point(self) -> Edit | None:
        chart = self._mostly()
        if chart is None:
            return None
        args = {"point_id": self._town.new_id(), "planned": True, **self._position(), **self._injection()}
        return chart[0], "add_point", args

    def _planned(self) -> tuple[str, str, Any] | None:
        chart = self._mostly()
        if chart is None:
            return None
        points = [(key, point) for key, point in chart[1]["points"].items() if "plan" in point]
        return (chart[0], *self._rng.choice(points)) if points else None

    def _set_point(self) -> Edit | None:
        planned = self._planned()
        if planned is None:
            return None
        ent, point_id, _ = planned
        change = self._rng.choice(
            (
                {"technique": self._rng.choice(("fan", "bolus", "linear"))},
                {"product_id": self._rng.choice(_PRODUCTS)},
                {"dose": self._rng.choice(_DOSES), "unit": "U"},
                {"dose": self._rng.choice(_DOSES), "unit": "U"},
            )
        )
        return ent, "set_point", {"point_id": point_id, **change}

    def _perform_point(self) -> Edit | None:
        planned = self._planned()
        if planned is None:
            return None
        return planned[0], "perform_point", {"point_id": planned[1], **self._injection()}

    def _strike_point(self) -> Edit | None:
        chart = self._mostly()
        if chart is None or not chart[1]["points"]:
            return None
        point_id = self._rng.choice(list(chart[1]["points"]))
        return chart[0], "strike_point", {"point_id": point_id, "reason": self._rng.choice(("typo", "twice"))}

    def _note(self) -> Edit | None:
        chart = self._chart()
        if chart is None:
            return None
        self._count += 1
        args = {"note_id": self._town.new_id(), "text": f"note {self._app.name}.{self._count}"}
        return chart[0], "append_note", args

    def _container(self) -> Edit | None:
        chart = self._chart()
        if chart is None:
            return None
        args = {
            "container_id": self._rng.choice(("vial-1", "vial-2")),
            "product_id": "botulinum-a",
            "amount": self._rng.choice(("50", "100")),
            "unit": "U",
        }
        return chart[0], "open_container", args

    def _wastage(self) -> Edit | None:
        chart = self._chart()
        if chart is None:
            return None
        args = {
            "wastage_id": self._town.new_id(),
            "container_id": "vial-1",
            "amount": "1",
            "unit": "U",
            "reason": "expired",
        }
        return chart[0], "record_wastage", args

    def _resolve(self) -> Edit | None:
        found = []
        for ent, state in self._client.entities("document").items():
            found += [(ent, key, one) for key, one in state["conflicts"].items() if one["status"] == "open"]
        if not found:
            return None
        ent, key, conflict = self._rng.choice(found)
        value = conflict[self._rng.choice(("current", "offered"))]["value"]
        if not conflict["register"].startswith("point/") and self._rng.random() < 0.2:
            value = f"third {self._app.name}"
        return ent, "resolve", {"conflict_id": key, "value": value, "reason": "asked them"}

    def _set_ready(self) -> Edit | None:
        chart = self._chart(*_OPEN)
        if chart is None:
            return None
        status = chart[1]["status"]
        args = {"from": status, "to": "ready" if status == "draft" else "draft"}
        if status == "ready" and self._rng.random() < 0.7:
            return None
        return chart[0], "set_status", args

    def _sign(self) -> Edit | None:
        chart = self._chart("ready") if self._rng.random() < 0.9 else self._chart()
        return None if chart is None else (chart[0], "sign", self._signature(chart[1]))

    def _cosign(self) -> Edit | None:
        chart = self._chart("pending_cosign")
        return None if chart is None else (chart[0], "cosign", self._signature(chart[1]))

    def _signature(self, state: Any) -> Body:
        subject = self._tablet.subject
        return {
            "meaning": "author",
            "printed_name": subject,
            "content_hash": state.get("content_hash", "unknown"),
            "proof": self._town.proof(subject),
        }

    def _addendum(self) -> Edit | None:
        chart = self._chart("signed", "cosigned", "addendum_required", "pending_cosign")
        if chart is None:
            return None
        args = {"addendum_id": self._town.new_id(), "text": f"late {self._app.name}", "reason": "forgot"}
        return chart[0], "add_addendum", args

    def _reject_cosign(self) -> Edit | None:
        chart = self._chart("pending_cosign")
        return None if chart is None else (chart[0], "reject_cosign", {"reason": "say more"})

    def _in_error(self) -> Edit | None:
        chart = self._chart()
        if chart is None or self._rng.random() < 0.7:
            return None
        return chart[0], "enter_in_error", {"reason": "wrong patient"}

    def _join(self) -> Edit | None:
        chart = self._chart()
        return None if chart is None else (chart[0], self._rng.choice(("join", "leave_off")), {})

    # -- rooms ------------------------------------------------------------------------------------

    def _room(self) -> tuple[str, Any] | None:
        rooms = list(self._client.entities("room").items())
        return self._rng.choice(rooms) if rooms else None

    def _move_room(self) -> Edit | None:
        room = self._room()
        if room is None:
            return None
        ent, state = room
        rng = self._rng
        status = RoomStatus(state["status"])
        steps = [to for (from_, to), step in TRANSITIONS.items() if from_ is status and Party.PROVIDER in step.parties]
        to = rng.choice(steps or [RoomStatus.AVAILABLE])
        args: Body = {"to": to.value}
        if rng.random() < 0.9:
            args["from"] = status.value
        if to is RoomStatus.ROOMED:
            args |= {"patient_id": f"patient-{rng.randrange(3)}", "visit_id": state.get("held_for") or self._visit()}
        if to is RoomStatus.WAITING:
            args["waiting_for"] = rng.choice(("numbing", "recovery"))
        if to is RoomStatus.HELD:
            args["visit_id"] = self._visit()
        claim = state.get("claim")
        if claim is not None and claim["by"] == self._tablet.subject and rng.random() < 0.9:
            args["token"] = self._client.claim_token(ent)
        return ent, "set_status", args

    def _visit(self) -> str:
        return f"visit-{self._rng.randrange(4)}"

    def _claim(self) -> Edit | None:
        room = self._room()
        return None if room is None else (room[0], "claim", {})

    def _release(self) -> Edit | None:
        room = self._room()
        if room is None or "claim" not in room[1]:
            return None
        return room[0], "release", {"token": self._client.claim_token(room[0])}

    def _take_over(self) -> Edit | None:
        room = self._room()
        return None if room is None else (room[0], "take_over", {"reason": "help"})

    def _undo(self) -> Edit | None:
        room = self._room()
        if room is None or not room[1].get("undo_version"):
            return None
        return room[0], "undo", {"version": room[1]["undo_version"]}

    # -- the session ------------------------------------------------------------------------------

    def _session(self) -> str:
        return f"session/{self._tablet.session_id}"

    def _enter(self) -> Edit | None:
        args = {"room_id": self._rng.choice(self._town.rooms), "patient_id": f"patient-{self._rng.randrange(3)}"}
        return self._session(), "enter", args

    def _leave(self) -> Edit | None:
        return self._session(), "leave", {}

    def _open_document(self) -> Edit | None:
        documents = list(self._client.entities("document"))
        if not documents:
            return None
        document_id = self._rng.choice(documents).partition("/")[2]
        return self._session(), self._rng.choice(("open_document", "close_document")), {"document_id": document_id}

    def _decide_quarantine(self) -> Edit | None:
        """By its own person, or by a colleague who sees the session."""
        state = self._client.state(self._session())
        items = sorted(state.get("quarantine", {})) if state else []
        if not items:
            return None
        action = self._rng.choice(("retry", "retry", "discard"))
        args = {"item_id": self._rng.choice(items), "action": action, "reason": "looked at"}
        return self._session(), "resolve", args

    def _nonsense(self) -> Edit | None:
        """What an older or newer program might send."""
        chart = self._chart()
        if chart is None:
            return None
        return self._rng.choice(
            (
                (chart[0], "frobnicate", {"what": "ever"}),
                (chart[0], "set_field", {"name": "Not A Name", "value": 1}),
                (chart[0], "add_point", {"point_id": self._town.new_id(), "view": "front", "x": 5_000, "y": 1}),
            )
        )
