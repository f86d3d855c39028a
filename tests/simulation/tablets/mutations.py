"""The sync core with one promise broken at a time, to prove that the simulation notices.

Each entry names what is broken, how (a subclass of a runner, a kind, a gateway or a tablet), and the promises of which
at least one must be reported.
"""

from typing import Any, ClassVar

import msgspec

from actors.document import DocumentKind
from actors.document_commands import SetField, Sign
from actors.document_registers import register_at
from actors.document_state import DocumentState
from actors.document_status import DocumentStatus
from actors.kinds import KINDS
from actors.runtime.entity import NOTHING, Context, Decision, Meta
from actors.session import SessionKind
from actors.session_commands import Record
from actors.session_state import Recorded, SessionState
from domain.errors import AtriumError, Temporary
from domain.ids import derived_command_id
from realtime import results
from realtime.client.replica import Replica
from realtime.client.sending import Sending
from realtime.client.sqlite_queue import SqliteQueue
from realtime.device import Device
from realtime.frames import Command
from realtime.ports import Admission, Entry
from realtime.replay import Outcome, QueueRunner
from realtime.session import Session
from services.entities import Sender
from tests.simulation.tablets.apps import App, Installation
from tests.simulation.tablets.gateways import Node
from tests.simulation.tablets.run import Mutation

SHAKY = frozenset(
    {"offline", "half_open", "app_kill", "slow_frames", "gateway_hang", "commit_lost", "commit_unknown", "commit_slow"}
)
"""Enough to lose a result on its way, and to have two connections of one tablet."""


# -- the gateway's queue --------------------------------------------------------------------------


class _BrokenDevice(Device):
    """With another runner. `runner` is set by its session."""

    runner: type[QueueRunner]

    def _keep_count(self, admission: Admission) -> None:
        super()._keep_count(admission)
        assert self.queue is not None
        self.queue.__class__ = self.runner  # the same layout: no broken runner has slots of its own


def _node_with(runner_class: type[QueueRunner]) -> type[Node]:
    class _Device(_BrokenDevice):
        runner = runner_class

    class _Session(Session):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self._device = _Device(self, self._executor, self._services)

    class _Node(Node):
        session_class: ClassVar[type[Session]] = _Session

    return _Node


class _TellsFirst(QueueRunner):
    __slots__ = ()

    async def _record(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._connection.answered(outcome.frame, self._clock())
        self._wake()
        entries = [outcome.entry for outcome in outcomes if outcome.entry is not None]
        try:
            await self._ledger.record(self._executor.actor, self._admission, entries)
        except AtriumError as error:
            self._end(error)


class _TellsUnrecorded(QueueRunner):
    __slots__ = ()

    async def _record(self, outcomes: list[Outcome]) -> None:
        entries = [outcome.entry for outcome in outcomes if outcome.entry is not None]
        try:
            await self._ledger.record(self._executor.actor, self._admission, entries)
        except AtriumError as error:
            if not isinstance(error, Temporary):
                self._end(error)
        for outcome in outcomes:
            self._connection.answered(outcome.frame, self._clock())
        self._wake()


class _RunsRepeats(QueueRunner):
    __slots__ = ()

    async def _known(self, epoch: int, seq: int) -> tuple[Entry | None, bool]:
        return None, False


class _TakesAnyBody(QueueRunner):
    __slots__ = ()

    async def _settle(self, command: Command) -> Outcome:
        known, _ = await self._known(command.epoch, command.seq)
        if known is not None:
            return Outcome(command, results.repeated(command, known.result), None)
        return await super()._settle(command)


class _DropsQuarantine(QueueRunner):
    __slots__ = ()

    def _quarantine(self, command: Command, hashed: bytes, frame: Any, *, fleeting: bool) -> Outcome:
        outcome = super()._quarantine(command, hashed, frame, fleeting=fleeting)
        assert outcome.entry is not None
        outcome.entry = msgspec.structs.replace(outcome.entry, command=None, item_id="")
        return outcome


class _RunsOldEpochs(QueueRunner):
    __slots__ = ()

    async def _settle(self, command: Command) -> Outcome:
        self._admission = msgspec.structs.replace(self._admission, epoch=0)
        return await super()._settle(command)


class _IgnoresRevocation(QueueRunner):
    __slots__ = ()

    async def _settle(self, command: Command) -> Outcome:
        self.refusal = ""
        return await super()._settle(command)


class _RunsBehindHeld(QueueRunner):
    __slots__ = ()

    async def _hold(self, command: Command, error: Temporary) -> None:
        self._flush()
        self._connection.held(command.seq, error.failure.code, 1, self._clock(), command.epoch)
        self._wake()


class _RemembersUnrecorded(QueueRunner):
    """What could not be counted stays known to the connection, and repeats are answered from that."""

    __slots__ = ()

    def _hold_all(self, outcomes: list[Outcome], error: Temporary) -> None:
        ran = dict(self._ran)
        super()._hold_all(outcomes, error)
        self._ran, self._in_doubt = ran, False


class _RunsBehindFleeting(QueueRunner):
    __slots__ = ()

    async def _fleeting_written(self) -> None: ...


class _NeverLooksAgain(QueueRunner):
    __slots__ = ()

    async def _look_again(self) -> None:
        self._in_doubt = False


class _ForgetsIds(Node):
    """Every try of a command is a new one to its entity."""

    def port(self, real: Any) -> Any:
        class Port:
            clinical, signal = real.clinical, real.signal
            tries = 0

            async def execute(self, sender: Sender, *said: Any) -> Any:
                self.tries += 1
                assert sender.command_id is not None
                fresh = derived_command_id(sender.command_id, str(self.tries))
                return await real.execute(msgspec.structs.replace(sender, command_id=fresh), *said)

        return Port()


class _Unfenced(Node):
    """Entities are not told which connection speaks."""

    def port(self, real: Any) -> Any:
        class Port:
            clinical, signal = real.clinical, real.signal

            async def execute(self, sender: Sender, *said: Any) -> Any:
                return await real.execute(msgspec.structs.replace(sender, generation=0), *said)

        return Port()


class _NothingIsClinical(Node):
    def port(self, real: Any) -> Any:
        class Port:
            execute, signal = real.execute, real.signal

            def clinical(self, ent: str, op: str) -> bool:
                return False

        return Port()


class _DeafHub(Node):
    """What the bus lost is never asked for."""

    def _build(self) -> None:
        super()._build()
        hub = self.gateway.services.hub
        hub.renew_all = lambda: None  # type: ignore[method-assign]
        hub.tick = lambda now: None  # type: ignore[method-assign]


# -- kinds ----------------------------------------------------------------------------------------


class _ReplacedMayRecord(SessionKind):
    def decide(self, state: SessionState | None, command: Any, ctx: Context) -> Decision:
        if isinstance(command, Record) and state is not None:
            command = msgspec.structs.replace(command, generation=state.generation)
        return super().decide(state, command, ctx)


class _PrunesAtOnce(SessionKind):
    def apply(self, state: SessionState | None, event: Any, meta: Meta) -> SessionState:
        state = super().apply(state, event, meta)
        if isinstance(event, Recorded):
            for count in state.counts.values():
                count.results.clear()
        return state


class _QuarantineOfOne(SessionKind):
    def apply(self, state: SessionState | None, event: Any, meta: Meta) -> SessionState:
        state = super().apply(state, event, meta)
        for item_id in list(state.quarantine)[:-1]:
            state.quarantine_bytes -= len(state.quarantine.pop(item_id).command)
        return state


class _AppliesStale(DocumentKind):
    def decide(self, state: DocumentState | None, command: Any, ctx: Context) -> Decision:
        if isinstance(command, SetField) and state is not None:
            register = register_at(state, command.name) if not command.name.startswith("point/") else None
            if register is not None:
                command = msgspec.structs.replace(command, base_version=register.fver)
        return super().decide(state, command, ctx)


class _SwallowsStale(DocumentKind):
    """What comes too late is taken and thrown away."""

    def decide(self, state: DocumentState | None, command: Any, ctx: Context) -> Decision:
        decision = super().decide(state, command, ctx)
        return NOTHING if decision.reply is not None and "conflict_id" in decision.reply else decision


class _SignsConflicts(DocumentKind):
    def decide(self, state: DocumentState | None, command: Any, ctx: Context) -> Decision:
        if isinstance(command, Sign) and state is not None:
            state = msgspec.structs.replace(state, conflicts={})
        return super().decide(state, command, ctx)


class _ChangesSigned(DocumentKind):
    def decide(self, state: DocumentState | None, command: Any, ctx: Context) -> Decision:
        if isinstance(command, SetField) and state is not None and state.status is DocumentStatus.SIGNED:
            state = msgspec.structs.replace(
                state, phase=msgspec.structs.replace(state.phase, status=DocumentStatus.DRAFT)
            )
        return super().decide(state, command, ctx)


def _kinds(**broken: Any) -> Any:
    return {name: broken.get(name, KINDS[name]) for name in ("room", "session", "document")}


# -- the tablet -----------------------------------------------------------------------------------


class _LazyQueue(SqliteQueue):
    """A command is on disk with whatever is written next."""

    def append(self, body: Any) -> int:
        store, commit = self._store, self._store.commit
        store.commit = lambda sql="", *parameters: store.later(sql, *parameters) if sql else 0  # type: ignore[method-assign]
        try:
            return super().append(body)
        finally:
            store.commit = commit  # type: ignore[method-assign]


class _KeepsWhatLeft(Replica):
    def _leave(self, ent: str, by: Any = None) -> None: ...


class _GivesUp(Sending):
    """What the server cannot do now is taken for refused."""

    def on_error(self, frame: Any) -> None:
        if frame["temporary"] and self.window.awaits(frame["ref"]):
            self._queue.resolve(frame["ref"], {"status": "rejected", "code": frame["code"]})
            self._queue.commit()
        super().on_error(frame)


def _tablet_with(change: Any) -> type[Installation]:
    class _App(App):
        def _start(self) -> None:
            super()._start()
            change(self)

    class _Tablet(Installation):
        app_class: ClassVar[type[App]] = _App

    return _Tablet


def _write_later(app: App) -> None:
    app.client.queue.__class__ = _LazyQueue


def _keep_what_left(app: App) -> None:
    for replica in app.live._replicas.values():
        replica.__class__ = _KeepsWhatLeft


def _give_up(app: App) -> None:
    app.live._sending.__class__ = _GivesUp


def _runner(runner: type[QueueRunner], *faults: str) -> Mutation:
    return Mutation(node=_node_with(runner), faults=frozenset(faults) if faults else SHAKY)


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "results leave before the record": (_runner(_TellsFirst), "2 3"),
    "results leave though the record failed": (_runner(_TellsUnrecorded, "record_lost"), "2 3"),
    "the count is not looked at": (_runner(_RunsRepeats), "2 3"),
    "any body is a repeat": (_runner(_TakesAnyBody, "restored_copy", "clone", "offline"), "2 3"),
    "refused edits are dropped": (_runner(_DropsQuarantine), "2 3"),
    "old epochs are run": (_runner(_RunsOldEpochs, "restored_copy", "storage_reset", "offline"), "2"),
    "revoked people's commands are run": (_runner(_IgnoresRevocation, "person_revoked", "offline", "half_open"), "2"),
    "commands behind a held one are run": (_runner(_RunsBehindHeld, "command_lost"), "2 5"),
    "what was not counted is answered": (_runner(_RemembersUnrecorded, "record_lost"), "2 3"),
    "commands behind a forgotten one are run": (
        _runner(_RunsBehindFleeting, "record_lost", "offline", "half_open"),
        "2 3 5",
    ),
    "a kept outcome is not looked up": (_runner(_NeverLooksAgain, "record_lost"), "2 3"),
    "every try has its own command id": (Mutation(node=_ForgetsIds, faults=SHAKY), "2"),
    "no edit is clinical": (Mutation(node=_NothingIsClinical, faults=SHAKY), "2"),
    "what the bus lost is not asked for": (Mutation(node=_DeafHub, faults=frozenset({"bus_gap"})), "1"),
    "replaced connections run and record": (
        Mutation(
            node=_Unfenced,
            kinds=_kinds(session=_ReplacedMayRecord()),
            faults=frozenset({"clone", "offline", "slow_frames"}),
        ),
        "2 3 5",
    ),
    "results are pruned at once": (Mutation(kinds=_kinds(session=_PrunesAtOnce()), faults=SHAKY), "2 3"),
    "the quarantine holds one": (Mutation(kinds=_kinds(session=_QuarantineOfOne()), faults=SHAKY), "1 2"),
    "stale registers are set": (Mutation(kinds=_kinds(document=_AppliesStale()), faults=SHAKY), "4"),
    "stale values are thrown away": (Mutation(kinds=_kinds(document=_SwallowsStale()), faults=SHAKY), "2 4"),
    "conflicts do not hinder signing": (
        Mutation(kinds=_kinds(document=_SignsConflicts()), faults=frozenset({"offline"})),
        "6",
    ),
    "signed content is edited": (
        Mutation(kinds=_kinds(document=_ChangesSigned()), faults=frozenset({"offline"})),
        "6",
    ),
    "commands are on disk a moment later": (
        Mutation(tablet=_tablet_with(_write_later), faults=frozenset({"app_kill"})),
        "2",
    ),
    "what left a list stays on the tablet": (Mutation(tablet=_tablet_with(_keep_what_left), faults=frozenset()), "1"),
    "a tablet gives up what is held": (Mutation(tablet=_tablet_with(_give_up), faults=SHAKY), "2"),
}
