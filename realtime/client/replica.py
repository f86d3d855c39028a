"""What a client knows of one channel: entities with version and state, kept current from frames."""

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domain.merge_patch import apply
from realtime.client.encoding import Message

UPDATES_KEPT_MAX = 10_000


@dataclass(slots=True)
class Known:
    version: int
    state: Any
    signals: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Update:
    """`what` is `snapshot`, `change`, `signal` or `left`: the last word on an entity that is in the group no more.

    `name` and `args` belong to a signal, `by` to a change.
    """

    what: str
    ent: str
    version: int
    state: Any
    by: Message | None = None
    name: str = ""
    args: dict[str, Any] | None = None


Listener = Callable[[Update], None]


class Outcome(enum.Enum):
    APPLIED = "applied"
    IGNORED = "ignored"
    READY = "the snapshot is complete"
    GAP = "a version is missing"


class Replica:
    """Feed it the frames of its channel. `have` is what a resume or a resubscription says."""

    def __init__(self, channel: str, mode: str) -> None:
        self.channel = channel
        self.mode = mode
        self.entities: dict[str, Known] = {}
        self.updates: deque[Update] = deque(maxlen=UPDATES_KEPT_MAX)
        self.listener: Listener | None = None
        self.current = False
        self._parts: list[Message] | None = None

    def have(self) -> dict[str, int]:
        return {ent: known.version for ent, known in self.entities.items()}

    def restore(self, ent: str, version: int, state: Any) -> None:
        """What an earlier run knew: shown until the server says more, and said in `have`."""
        self.entities[ent] = Known(version, state)

    def forget(self) -> None:
        """Nothing of what is known may be shown any more."""
        self.entities.clear()
        self.updates.clear()
        self.expect_snapshot()

    def expect_snapshot(self) -> None:
        """A subscription is under way: what still comes of an earlier one does not count."""
        self.current = False
        self._parts = None

    def subscribed(self) -> None:
        self._parts = []

    def snapshot(self, frame: Message) -> Outcome:
        """Parts are applied together, with the last one."""
        if self._parts is None:
            return Outcome.IGNORED
        self._parts.append(frame)
        if not frame["last"]:
            return Outcome.IGNORED
        parts, self._parts = self._parts, None
        for part in parts:
            for entry in part["entities"]:
                self._set("snapshot", entry["ent"], entry["ver"], entry["state"], None)
            for ent in part.get("gone", ()):
                self._leave(ent)
        self.current = True
        return Outcome.READY

    def change(self, frame: Message) -> Outcome:
        if not self.current:
            return Outcome.IGNORED
        ent, version = frame["ent"], frame["ver"]
        known = self.entities.get(ent)
        before = 0 if known is None else known.version
        if frame.get("left"):
            return self._left(frame)
        if version <= before:
            return Outcome.IGNORED
        if "state" in frame:
            state = frame["state"]
        elif version == before + 1:
            state = apply({} if known is None else known.state, frame["patch"])
        else:
            return Outcome.GAP
        self._set("change", ent, version, state, frame.get("by"))
        return Outcome.APPLIED

    def _left(self, frame: Message) -> Outcome:
        """It goes, unless this is older than what is known: then it has come back since.

        Without the change itself (an empty patch, or one over a gap) its last state is the one that was known.
        """
        ent, version = frame["ent"], frame["ver"]
        known = self.entities.get(ent)
        if known is None or version < known.version:
            return Outcome.IGNORED
        if "state" in frame:
            known.version, known.state = version, frame["state"]
        elif frame["patch"] and version == known.version + 1:
            known.version, known.state = version, apply(known.state, frame["patch"])
        self._leave(ent, frame.get("by"))
        return Outcome.APPLIED

    def _leave(self, ent: str, by: Message | None = None) -> None:
        known = self.entities.pop(ent, None)
        if known is not None:
            self._tell(Update("left", ent, known.version, known.state, by))

    def signal(self, frame: Message) -> Outcome:
        known = self.entities.get(frame["ent"])
        if known is None:
            return Outcome.IGNORED
        known.signals[frame["name"]] = frame["args"]
        self._tell(Update("signal", frame["ent"], known.version, known.state, name=frame["name"], args=frame["args"]))
        return Outcome.APPLIED

    def _set(self, what: str, ent: str, version: int, state: Any, by: Message | None) -> None:
        known = self.entities.get(ent)
        if known is None:
            self.entities[ent] = Known(version, state)
        else:
            known.version, known.state = version, state
        self._tell(Update(what, ent, version, state, by))

    def _tell(self, update: Update) -> None:
        self.updates.append(update)
        if self.listener is not None:
            self.listener(update)
