"""The tablets' verdict must catch whatever a broken backend could do to an edit; their screens must show it."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from cluster.cli import run
from cluster.commands.demo import report_tablets
from cluster.demo.stage import Stage
from cluster.demo.tablets.app import look
from cluster.demo.tablets.company import Kill
from cluster.demo.tablets.evidence import (
    APPLIED,
    CHART,
    KEPT,
    QUARANTINE,
    ROOM,
    Check,
    Edited,
    Event,
    Evidence,
    Sight,
    Trace,
    outcome_of,
)
from cluster.demo.tablets.play import Play, Result
from cluster.demo.tablets.reconcile import SERVER, Verdict, digest, reconcile
from cluster.demo.tablets.view import BoardSight, Line, Picture, RoomSight, Step, TabletSight, draw
from domain.ids import new_id
from realtime.client.outcome import Result as Came
from realtime.client.state_cache import StateCache
from realtime.client.store import DeviceStore
from services.tokens import Tokens

PIA, QUINN = "pia", "quinn"
NOTE = {"note_id": "n-1", "text": "Ice."}
NOTED = Trace(where=CHART, type="note_appended", details={"note_id": "n-1"})
KEPT_AS_CONFLICT = Trace(where=CHART, type="conflict_raised", details={"offered": "2 U"})
NEVER_SET = Trace(where=CHART, type="register_set", details={"value": "2 U"}, times=0)
SET_ASIDE = Trace(where=QUARANTINE, type="add_point", details={"point_id": "p-9"})
STATE = {"version": 3, "status": "waiting", "claim": {"by": PIA}}


def event(type_: str, by: str = PIA, where: str = CHART, **details: Any) -> Event:
    return Event(where=where, type=type_, by=by, device=f"{by}'s", details=details)


def edited(by: str, wanted: str, *traces: Trace, came: str = "") -> Edited:
    return Edited(who=by, what="edit", by=by, device=f"{by}'s", wanted=wanted, came=came or wanted, traces=traces)


def played() -> Evidence:
    """What a performance brings home in which everything went well."""
    return Evidence(
        edits=(
            edited(PIA, APPLIED, NOTED),
            edited(QUINN, KEPT, KEPT_AS_CONFLICT, NEVER_SET),
            edited(QUINN, "rejected: outside_face", SET_ASIDE),
        ),
        events=(
            event("note_appended", **NOTE),
            event("conflict_raised", QUINN, register="dose", current="10 U", offered="2 U"),
            event("add_point", QUINN, QUARANTINE, point_id="p-9", x=1),
            event("status_changed", to="draft", cause="edit"),
            Event(where=ROOM, type="created", by="system"),
        ),
        sights=tuple(Sight(where=where, what="room", state=dict(STATE)) for where in (SERVER, "Pia's tablet", "board")),
        checks=(Check("the alert", "overdrawn", "overdrawn"),),
    )


def without(evidence: Evidence, index: int) -> Evidence:
    events = evidence.events
    return msgspec.structs.replace(evidence, events=events[:index] + events[index + 1 :])


def and_also(evidence: Evidence, *more: Event) -> Evidence:
    return msgspec.structs.replace(evidence, events=(*evidence.events, *more))


def result_of(verdict: Verdict | None, failure: str = "") -> Result:
    return Result(
        seconds=2.5, edits=3, edits_offline=2, kill=Kill("host-1", 7, 900.0), verdict=verdict, failure=failure
    )


def play() -> Play:
    nowhere = Stage(base_url="http://127.0.0.1:1", database_url="", tokens=Tokens, victims=None)  # type: ignore[arg-type]
    return Play(nowhere)


def exit_code(verdict: Verdict | None, failure: str = "") -> int:
    return report_tablets(play(), result_of(verdict, failure), as_json=True)


def test_when_everything_is_found_once_and_every_screen_agrees_the_exit_code_is_0() -> None:
    verdict = reconcile(played())
    assert (verdict.lost, verdict.duplicated) == (0, 0)
    assert all(row.ok for row in verdict.rows)
    assert exit_code(verdict) == 0


@pytest.mark.parametrize("missing", [0, 1, 2], ids=["an applied edit", "a kept conflict", "a quarantined command"])
def test_an_edit_that_is_nowhere_is_lost(missing: int) -> None:
    verdict = reconcile(without(played(), missing))
    assert (verdict.lost, verdict.duplicated) == (1, 0)
    assert exit_code(verdict) == 1


@pytest.mark.parametrize("again", [0, 1, 2], ids=["an applied edit", "a kept conflict", "a quarantined command"])
def test_an_edit_that_is_there_twice_is_duplicated(again: int) -> None:
    evidence = played()
    verdict = reconcile(and_also(evidence, evidence.events[again]))
    assert (verdict.lost, verdict.duplicated) == (0, 1)
    assert exit_code(verdict) == 1


def test_a_stale_value_that_was_applied_all_the_same_is_duplicated() -> None:
    verdict = reconcile(and_also(played(), event("register_set", QUINN, register="dose", value="2 U")))
    assert verdict.duplicated > 0
    assert exit_code(verdict) == 1


@pytest.mark.parametrize(
    "stray",
    [
        event("point_added", QUINN, point_id="p-9"),
        event("note_appended", QUINN, **NOTE),
        event("status_changed", PIA, ROOM, status="turnover"),
    ],
    ids=["a refused point in the chart", "another's device", "a room moved by nobody"],
)
def test_an_event_that_no_edit_explains_is_duplicated(stray: Event) -> None:
    verdict = reconcile(and_also(played(), stray))
    assert verdict.duplicated == 1
    assert exit_code(verdict) == 1


def test_an_edit_that_came_to_something_else_is_a_mismatch() -> None:
    evidence = played()
    other = edited(PIA, APPLIED, NOTED, came="rejected: taken")
    verdict = reconcile(msgspec.structs.replace(evidence, edits=(other, *evidence.edits[1:])))
    assert [row.seen for row in verdict.rows if not row.ok] == ["rejected: taken; 1x note_appended"]
    assert exit_code(verdict) == 1


@pytest.mark.parametrize("where", [1, 2], ids=["a tablet", "the board"])
def test_a_screen_that_differs_from_the_server_is_a_mismatch(where: int) -> None:
    evidence = played()
    sights = list(evidence.sights)
    sights[where] = msgspec.structs.replace(sights[where], state={**STATE, "claim": {"by": QUINN}})
    verdict = reconcile(msgspec.structs.replace(evidence, sights=tuple(sights)))
    assert [row.ok for row in verdict.screens] == [where != 1, where != 2]
    assert exit_code(verdict) == 1


def test_a_screen_that_nothing_of_the_server_s_is_known_for_is_a_mismatch() -> None:
    evidence = played()
    assert exit_code(reconcile(msgspec.structs.replace(evidence, sights=evidence.sights[1:]))) == 1


def test_a_fact_that_is_not_as_expected_is_a_mismatch() -> None:
    evidence = msgspec.structs.replace(played(), checks=(Check("the alert", "overdrawn", ""),))
    assert exit_code(reconcile(evidence)) == 1


def test_a_play_that_could_not_go_on_has_exit_code_1_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(None, "waited 30 s for the conflict") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["failure"]) == (False, "waited 30 s for the conflict")


def test_mismatches_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_tablets(play(), result_of(reconcile(without(played(), 0))), as_json=False) == 1
    shown = capsys.readouterr().out
    assert "lost = 1, duplicated = 0" in shown
    assert "applied; 0x note_appended" in shown


def test_before_the_curtain_there_is_nothing_to_see() -> None:
    assert play().picture() is None


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (Came(1, "applied", "e"), APPLIED),
        (Came(1, "duplicate", "e", original={"status": "applied"}), APPLIED),
        (Came(1, "conflict", "e", conflict_id="c"), KEPT),
        (Came(1, "conflict", "e", current="waiting"), "conflict with waiting"),
        (Came(1, "rejected", "e", code="same_signer"), "rejected: same_signer"),
        (Came(1, "rejected", "e", code="invalid", errors=({"code": "outside_face"},)), "rejected: outside_face"),
    ],
)
def test_outcomes_in_words(came: Came, words: str) -> None:
    assert outcome_of(came) == words


def test_a_trace_fits_its_own_event_only() -> None:
    trace = Trace(where=CHART, type="point_performed", details={"point_id": "p", "injection": {"dose": "6"}})
    fits = event("point_performed", point_id="p", injection={"dose": "6", "unit": "U"})
    assert trace.fits(fits, PIA, "pia's")
    assert not trace.fits(fits, PIA, "another")
    assert not trace.fits(event("point_performed", point_id="p", injection={"dose": "2"}), PIA, "pia's")
    assert not trace.fits(event("point_performed", point_id="p"), PIA, "pia's")


def picture() -> Picture:
    pia = TabletSight(name="Pia", online=True, queued=0, lines=(Line("dose", "10 U"),))
    lines = (Line("dose", "2 U", pending=True), Line("conflict", "10 U (Pia) or [2 U] (Quinn)", alarm=True))
    quinn = TabletSight(name="Quinn", online=False, queued=5, lines=lines)
    room = RoomSight(name="Room 1", status="waiting (recovery)", claim="Pia", people=("Pia: treatment",))
    return Picture(tablets=(pia, quinn), board=BoardSight(online=True, rooms=(room,)))


def drawn(width: int, height: int = 0, steps: int = 12) -> list[str]:
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(draw(picture(), [Step(float(number), f"step {number}") for number in range(steps)], height))
    return capture.get().splitlines()


def test_the_screens_show_the_links_the_queue_what_is_pending_and_what_is_wrong() -> None:
    shown = "\n".join(drawn(100))
    for part in ("Pia's tablet: online", "Quinn's tablet: offline, 5 queued", "2 U •", "10 U (Pia) or [2 U] (Quinn)"):
        assert part in shown
    assert "claimed by Pia" in shown
    assert "step 11" in shown


@pytest.mark.parametrize("width", [60, 80, 132])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, drawn(width))) <= width


def test_a_low_terminal_gets_fewer_steps_and_always_the_last_one() -> None:
    assert len(drawn(100, height=24)) <= 24
    assert len(drawn(100, height=10)) <= 10
    low = drawn(100, height=4)
    assert sum("step" in line for line in low) == 1
    assert "step 11" in low[-1]


async def test_the_app_shows_what_is_in_its_file_and_keeps_what_is_written_in_it(tmp_path: Path) -> None:
    path, subject, document = tmp_path / "quinn.sqlite3", new_id(), new_id()
    with DeviceStore.open(path, subject=subject) as store:
        cache, ent = StateCache(store), f"document/{document}"
        cache.keep(ent, ent, 1, {"notes": {}})
        cache.flush()
    url = "ws://127.0.0.1:1/api/v1/treatments/provider-sync"
    tablet, shown = look(path, subject, url, document, "Ice.")
    assert shown.before == digest({"notes": {}})
    assert (shown.queued, shown.seq) == (1, 1)
    await tablet.close()
    tablet, again = look(path, subject, url, document, "More ice.")
    assert again.before == shown.after
    assert again.queued == 2
    await tablet.close()


def test_options_before_the_name_of_a_demo_are_refused_rather_than_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--limit", "5", "tablets"]) == 2
    assert "after `tablets`" in capsys.readouterr().err


def test_every_demo_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["demo", "--help"], ["demo", "tablets", "--help"], ["demo", "tour", "--help"]):
        assert run(argv) == 0
    assert "--pace" in capsys.readouterr().out
