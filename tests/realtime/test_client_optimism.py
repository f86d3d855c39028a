"""Optimistic state: edits over what is confirmed, rebased whenever either changes, converging to the server's state."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.document import DocumentKind
from actors.runtime.entity import Actor
from domain.errors import AtriumError
from domain.hlc import HybridClock
from realtime.client.limits import ClientLimits
from realtime.client.optimism import Optimism
from realtime.client.outcome import Result
from realtime.client.queue import Body, MemoryQueue
from tests.actors.documents import CLINIC, new_document, uid
from tests.realtime.test_client_predictors import command_of, essence

DOC = "document/1"
FIELDS = ("plan.a", "plan.b")


def command(op: str, base: int | None = None, **args: Any) -> Body:
    body = {"ent": DOC, "op": op, "args": args, "hlc": HybridClock(lambda: 1_000, "d").now()}
    return body if base is None else {**body, "base_fver": base}


def view(version: int, **fields: tuple[Any, int]) -> dict[str, Any]:
    return {
        "version": version,
        "status": "draft",
        "fields": {name: {"value": value, "fver": fver} for name, (value, fver) in fields.items()},
        "notes": {},
    }


def result(seq: int, status: str, version: int | None = None, **more: Any) -> Result:
    return Result(seq, status, DOC, version, **more)


def shown(state: Optimism, name: str = "a") -> Any:
    return state.state(DOC)["fields"].get(name, {}).get("value")


def opened() -> Optimism:
    state = Optimism("pia", "tablet", 1)
    state.confirm(DOC, 5, view(5, a=("old", 3)))
    return state


def test_an_edit_is_seen_at_once_and_until_it_is_confirmed() -> None:
    state = opened()
    state.queued(1, command("set_field", 3, name="a", value="mine"))
    assert shown(state) == "mine"
    state.resulted(result(1, "applied", 7))
    assert shown(state) == "mine", "the confirmed state has not come yet"
    state.confirm(DOC, 6, view(6, a=("old", 3)))
    assert shown(state) == "mine"
    state.confirm(DOC, 7, view(7, a=("mine", 7)))
    assert (shown(state), state.settled) == ("mine", True)


def test_a_newer_value_of_another_is_seen_once_the_own_is_confirmed() -> None:
    state = opened()
    state.queued(1, command("set_field", 3, name="a", value="mine"))
    state.confirm(DOC, 8, view(8, a=("theirs", 8)))
    assert shown(state) == "mine"
    state.resulted(result(1, "applied", 7))
    assert shown(state) == "theirs"


def test_what_was_refused_is_gone_at_once() -> None:
    for status in ("conflict", "rejected"):
        state = opened()
        state.queued(1, command("set_field", 3, name="a", value="mine"))
        state.resulted(result(1, status, 7, current="old"))
        assert (shown(state), state.settled) == ("old", True)


def test_a_repeat_counts_as_what_it_was_the_first_time() -> None:
    for status, seen in (("applied", "mine"), ("conflict", "old"), ("rejected", "old")):
        state = opened()
        state.queued(1, command("set_field", 3, name="a", value="mine"))
        state.resulted(result(1, "duplicate", 7, original={"status": status}))
        assert shown(state) == seen


def test_an_echo_of_the_own_edit_replaces_it() -> None:
    state = opened()
    state.queued(1, command("append_note", note_id="n", text="fine"))
    state.queued(2, command("set_field", 3, name="a", value="mine"))
    by = {"device_id": "tablet", "epoch": 1, "seq": 1}
    state.confirm(DOC, 6, view(6, a=("old", 3)), {**by, "device_id": "another"})
    assert len(state.pending(DOC)) == 2
    state.confirm(DOC, 7, view(7, a=("old", 3)), by)
    assert [one.seq for one in state.pending(DOC)] == [2]
    state.resulted(result(1, "applied", 7))
    assert [one.seq for one in state.pending(DOC)] == [2]


def test_an_older_state_from_another_channel_changes_nothing() -> None:
    state = opened()
    state.confirm(DOC, 4, view(4, a=("older", 2)))
    assert shown(state) == "old"


def test_a_second_edit_of_a_field_goes_by_what_the_first_went_by() -> None:
    state = opened()
    args = {"name": "a", "value": "x"}
    assert state.base(DOC, "set_field", args) == 3
    state.queued(1, command("set_field", 3, **args))
    state.confirm(DOC, 8, view(8, a=("theirs", 8)))
    assert state.base(DOC, "set_field", args) == 3, "the newer value was never seen"
    assert state.base(DOC, "set_field", {"name": "b", "value": 1}) == 0
    state.resulted(result(1, "conflict"))
    assert state.base(DOC, "set_field", args) == 8
    assert state.base(DOC, "append_note", {"note_id": "n", "text": "x"}) is None
    assert state.base("room/1", "set_status", {"to": "held"}) is None


def test_points_and_resolutions_have_registers_too() -> None:
    state = Optimism("pia", "tablet", 1)
    point = {"plan": {"dose": "4", "unit": "U"}, "fver": {"dose": 6}}
    conflict = {"register": "point/p/dose", "status": "open"}
    state.confirm(DOC, 9, view(9) | {"points": {"p": point}, "conflicts": {"c": conflict}})
    assert state.base(DOC, "set_point", {"point_id": "p", "dose": "5", "unit": "U"}) == 6
    assert state.base(DOC, "set_point", {"point_id": "p", "lot": "L"}) == 0
    state.queued(1, command("set_point", 4, point_id="p", product_id="x"))
    assert state.base(DOC, "set_point", {"point_id": "p", "dose": "5", "unit": "U"}) == 4, "a dose of that product"
    assert state.base(DOC, "set_point", {"point_id": "p", "lot": "L"}) == 0
    state.resulted(result(1, "rejected"))
    assert state.base(DOC, "resolve", {"conflict_id": "c", "value": "5 U", "reason": "x"}) == 6


def test_arguments_that_make_no_sense_predict_nothing() -> None:
    state = opened()
    for op, args in (("set_field", {}), ("append_note", {"note_id": []}), ("fly", {})):
        state.queued(1, command(op, **args))
    assert shown(state) == "old"


def test_edits_of_an_earlier_run_are_seen_again() -> None:
    state = opened()
    done = command("set_field", 3, name="a", value="done")
    state.kept(done, result(0, "applied", 5))
    state.kept(done, result(0, "rejected"))
    assert state.settled
    state.kept(done, result(0, "applied", 6))
    state.queued(7, command("append_note", note_id="n", text="fine"))
    assert shown(state) == "done"
    assert state.state(DOC)["notes"]["n"]["text"] == "fine"


def test_a_new_epoch_moves_the_numbers() -> None:
    state = opened()
    for seq in (4, 5):
        state.queued(seq, command("set_field", 3, name="a", value=f"v{seq}"))
    state.resulted(result(4, "applied", 9))
    state.renumbered(2, {5: 1})
    state.confirm(DOC, 6, view(6), {"device_id": "tablet", "epoch": 2, "seq": 1})
    assert shown(state) == "v4"
    state.confirm(DOC, 9, view(9, a=("v4", 9)))
    assert state.settled


def test_what_was_forgotten_leaves_the_edits_over_nothing() -> None:
    state = opened()
    state.queued(1, command("set_field", 3, name="a", value="mine"))
    state.forget()
    assert state.state(DOC) is None
    assert state.pending(DOC)
    state.confirm(DOC, 5, view(5, a=("old", 3)))
    assert shown(state) == "mine"


def test_edits_that_are_never_confirmed_do_not_pile_up() -> None:
    state = Optimism("pia", "tablet", 1, limits=ClientLimits(confirming_max=3))
    for seq in range(1, 7):
        state.queued(seq, command("append_note", note_id=str(seq), text="x"))
        state.resulted(result(seq, "applied", seq))
    assert [one.seq for one in state.pending(DOC)] == [4, 5, 6]


class Device:
    """A tablet's half: what it made, what it was shown, what is on its way to it."""

    def __init__(self, name: str, house: "Rebase") -> None:
        self.name = name
        self.actor = Actor(name, ("provider",), (CLINIC,))
        self.queue = MemoryQueue(device_id=name)
        self.clock = HybridClock(lambda: house.desk.now_ms, name)
        self.screen = Optimism(name, name, 1)
        self.online = False
        self.sent = 0
        self.results: list[dict[str, Any]] = []
        self.changes: list[tuple[int, Any, dict[str, Any] | None]] = []
        self.visible: dict[str, set[Any]] = {name: set() for name in FIELDS}
        self.seen_by: dict[int, set[Any]] = {}
        self.edits: dict[int, tuple[str, Any]] = {}
        self.outcomes: dict[int, Result] = {}


class Rebase(RuleBasedStateMachine):
    """Two tablets and a real document; results and changes arrive in their own order, or are lost with the link."""

    @initialize()
    def begin(self) -> None:
        self.desk = new_document()
        self.devices = [Device(name, self) for name in ("pia", "quinn")]
        self.known: dict[tuple[str, int], dict[str, Any]] = {}
        self.values = 0
        self.writers: dict[Any, str] = {}

    def _edit(self, device: Device, op: str, args: dict[str, Any]) -> int:
        body: Body = {"ent": DOC, "op": op, "args": args, "hlc": device.clock.now()}
        base = device.screen.base(DOC, op, args)
        if base is not None:
            body["base_fver"] = base
        seq = device.queue.append(body)
        device.screen.queued(seq, body)
        return seq

    @rule(who=st.integers(0, 1), field=st.sampled_from(FIELDS))
    def set_a_field(self, who: int, field: str) -> None:
        device = self.devices[who]
        self.values += 1
        self.writers[self.values] = device.name
        seen = set(device.visible[field])
        seq = self._edit(device, "set_field", {"name": field, "value": self.values})
        device.edits[seq] = (field, self.values)
        device.seen_by[seq] = seen

    @rule(who=st.integers(0, 1))
    def write_a_note(self, who: int) -> None:
        self.values += 1
        self._edit(self.devices[who], "append_note", {"note_id": uid(str(self.values)), "text": "fine"})

    @rule(who=st.integers(0, 1), to=st.sampled_from(["ready", "draft"]))
    def move_on(self, who: int, to: str) -> None:
        self._edit(self.devices[who], "set_status", {"to": to, "from": "draft" if to == "ready" else "ready"})

    @precondition(lambda self: any(not device.online for device in self.devices))
    @rule(who=st.integers(0, 1))
    def come_online(self, who: int) -> None:
        device = self.devices[who]
        if not device.online:
            device.online, device.sent = True, device.queue.first_unacked() - 1
            device.changes.append((self.desk.version, self.desk.view(), None))

    @rule(who=st.integers(0, 1))
    def lose_the_link(self, who: int) -> None:
        device = self.devices[who]
        device.online = False
        device.results.clear()
        device.changes.clear()

    @rule(who=st.integers(0, 1))
    def run_a_command(self, who: int) -> None:
        """The server takes the next command of this device."""
        device = self.devices[who]
        found = device.queue.after(device.sent) if device.online else None
        if found is None:
            return
        device.sent, body = found
        seq = device.sent
        first = self.known.get((device.name, seq))
        if first is not None:
            device.results.append({**first, "status": "duplicate", "original": first})
            return
        told = self._execute(device, seq, body)
        self.known[device.name, seq] = told
        device.results.append(told)

    def _execute(self, device: Device, seq: int, body: Body) -> dict[str, Any]:
        desk = self.desk
        desk.now_ms += 1
        fields = dict(body["args"])
        if "base_fver" in body:
            fields["base_version"] = body["base_fver"]
        before, current = desk.version, dict(desk.view()["fields"])
        about = {"seq": seq, "ent": DOC}
        try:
            decision = desk.do(command_of(DocumentKind, body["op"], fields), device.actor, device.name, body["hlc"])
        except AtriumError as error:
            return {**about, "status": "conflict", "code": error.failure.code}
        conflict = (decision.reply or {}).get("conflict_id", "")
        if seq in device.edits and body["op"] == "set_field":
            self._judge(device, seq, current, conflict, body["base_fver"])
        if desk.version > before:
            by = {"device_id": device.name, "epoch": 1, "seq": seq}
            for other in self.devices:
                if other.online:
                    other.changes.append((desk.version, desk.view(), by))
        return {**about, "status": "conflict" if conflict else "applied", "ver": desk.version, "conflict_id": conflict}

    def _judge(self, device: Device, seq: int, before: dict[str, Any], conflict: str, base: int) -> None:
        field, _ = device.edits[seq]
        overwritten = before.get(field, {}).get("value")
        if overwritten is None:
            assert not conflict
            return
        own = self.writers[overwritten] == device.name
        if conflict:
            foreign = [value for value in self._history(field, base) if self.writers[value] != device.name]
            assert foreign, "a device never conflicts with itself"
        else:
            assert own or overwritten in device.seen_by[seq], "a value was overwritten that its writer never saw"

    def _history(self, field: str, after: int) -> list[Any]:
        found = []
        for version, (payload, _) in enumerate(self.desk.journal, 1):
            if version <= after:
                continue
            events = self.desk._events.decode(payload)
            found += [
                event.value for event in events if getattr(event, "register", "") == field and hasattr(event, "value")
            ]
        return found

    @rule(who=st.integers(0, 1))
    def hear_a_result(self, who: int) -> None:
        device = self.devices[who]
        if device.results:
            frame = device.results.pop(0)
            device.queue.resolve(frame["seq"], frame)
            told = device.outcomes[frame["seq"]] = Result.of(frame)
            device.screen.resulted(told)

    @rule(who=st.integers(0, 1))
    def hear_a_change(self, who: int) -> None:
        device = self.devices[who]
        if device.changes:
            device.screen.confirm(DOC, *device.changes.pop(0))

    @invariant()
    def nothing_flickers(self) -> None:
        for device in getattr(self, "devices", ()):
            state = device.screen.state(DOC)
            if state is None:
                continue
            for field in FIELDS:
                value = state["fields"].get(field, {}).get("value")
                last = [seq for seq, (name, _) in device.edits.items() if name == field]
                outcome = device.outcomes.get(last[-1]) if last else None
                if last and state["status"] in {"draft", "ready"} and self._stands(device, last[-1], outcome):
                    assert value == device.edits[last[-1]][1], "the own edit is not seen"
                if value is not None:
                    device.visible[field].add(value)

    def _stands(self, device: Device, seq: int, outcome: Result | None) -> bool:
        """Not refused, and nothing newer can be confirmed over it."""
        if outcome is None:
            return any(one.seq == seq for one in device.screen.pending(DOC))
        return outcome.final == "applied" and (outcome.version or 0) > device.screen.version(DOC)

    def teardown(self) -> None:
        if not hasattr(self, "devices"):
            return
        for _ in range(2):
            for who, device in enumerate(self.devices):
                self.come_online(who)
                while device.queue.after(device.sent) is not None:
                    self.run_a_command(who)
                while device.results:
                    self.hear_a_result(who)
        for who, device in enumerate(self.devices):
            while device.changes:
                self.hear_a_change(who)
            assert device.queue.first_unacked() == device.queue.last_seq + 1
            assert device.screen.settled, "every edit has left the fold"
            assert device.screen.state(DOC) == self.desk.view()
            assert essence(device.screen.state(DOC)) == essence(self.desk.view())


Rebase.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRebase = Rebase.TestCase
