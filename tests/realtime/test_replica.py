"""What a client makes of entities that leave a group."""

from typing import Any

from realtime.client.replica import Outcome, Replica

GROUP = "location/l1/rooms"


def replica(**versions: int) -> Replica:
    one = Replica(GROUP, "patch")
    one.subscribed()
    entities = [{"ent": f"room/{name}", "ver": version, "state": {"n": version}} for name, version in versions.items()]
    assert one.snapshot({"part": 0, "last": True, "entities": entities}) is Outcome.READY
    one.updates.clear()
    return one


def left(version: int, **fields: Any) -> dict[str, Any]:
    return {"t": "change", "ch": GROUP, "ent": "room/a", "ver": version, "left": True, **fields}


def test_what_leaves_goes_with_its_last_state() -> None:
    rooms = replica(a=1, b=1)
    assert rooms.change(left(2, patch={"closed": True})) is Outcome.APPLIED
    (update,) = rooms.updates
    assert (update.what, update.ent, update.version, update.state) == ("left", "room/a", 2, {"n": 1, "closed": True})
    assert rooms.have() == {"room/b": 1}


def test_what_left_is_gone_also_when_no_more_than_that_is_known() -> None:
    for version in (3, 7):
        rooms = replica(a=3)
        assert rooms.change(left(version, patch={})) is Outcome.APPLIED
        assert rooms.entities == {}
    rooms = replica(a=3)
    assert rooms.change(left(9, state={"n": 9})) is Outcome.APPLIED
    assert rooms.updates[-1].state == {"n": 9}


def test_a_leave_that_does_not_bring_the_last_state_does_not_make_one_up() -> None:
    """The entity may be in another channel, whose newer state this must not pass for."""
    for version, patch in ((4, {}), (7, {}), (7, {"closed": True})):
        rooms = replica(a=3)
        assert rooms.change(left(version, patch=patch)) is Outcome.APPLIED
        assert (rooms.updates[-1].version, rooms.updates[-1].state) == (3, {"n": 3})


def test_an_old_leave_does_not_remove_what_has_come_back() -> None:
    rooms = replica(a=3)
    assert rooms.change(left(2, patch={})) is Outcome.IGNORED
    assert rooms.have() == {"room/a": 3}


def test_a_leave_of_what_is_not_known_is_nothing() -> None:
    rooms = replica(b=1)
    assert rooms.change(left(2, patch={})) is Outcome.IGNORED
    assert list(rooms.updates) == []


def test_what_comes_back_begins_anew() -> None:
    rooms = replica(a=1)
    rooms.change(left(2, patch={}))
    assert rooms.change({"ent": "room/a", "ver": 3, "patch": {"n": 3}}) is Outcome.GAP
    assert rooms.change({"ent": "room/a", "ver": 3, "state": {"n": 3}}) is Outcome.APPLIED
    assert rooms.have() == {"room/a": 3}


def test_a_resume_drops_what_has_gone_with_the_last_part() -> None:
    rooms = replica(a=1, b=1)
    rooms.expect_snapshot()
    rooms.subscribed()
    assert rooms.snapshot({"part": 0, "last": False, "entities": []}) is Outcome.IGNORED
    assert set(rooms.entities) == {"room/a", "room/b"}
    rooms.snapshot({"part": 1, "last": True, "entities": [], "gone": ["room/a", "room/z"]})
    assert rooms.have() == {"room/b": 1}
    assert [(update.what, update.ent) for update in rooms.updates] == [("left", "room/a")]
