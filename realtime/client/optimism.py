"""What a person sees of an entity: its confirmed state with the device's own edits folded over it.

The fold is computed anew whenever either changes (rebase). An edit leaves it
- when its result is `conflict` or `rejected`: at once;
- when its result is `applied`: as soon as the confirmed state has reached its version, so that nothing flickers;
- when a change says that it came from this very edit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.hlc import parse
from domain.times import to_rfc3339
from realtime.client.limits import DEFAULTS, ClientLimits
from realtime.client.outcome import Result
from realtime.client.predictors import PREDICTORS, LocalEdit, Predictor, chain_of, register_of, register_version
from realtime.client.queue import Body


@dataclass(slots=True)
class PendingEdit:
    """`version` None: no result yet; otherwise it is applied, and the confirmed state has not reached it.

    `chain`: the register that it sets, or the one that goes with it; "" for none.
    """

    seq: int
    body: Body
    edit: LocalEdit
    chain: str
    version: int | None = None


class Optimism:
    """One device and person. `epoch` is the queue's, to know the device's own changes by."""

    def __init__(
        self,
        subject: str,
        device_id: str,
        epoch: int,
        predictors: Mapping[tuple[str, str], Predictor] = PREDICTORS,
        limits: ClientLimits = DEFAULTS,
    ) -> None:
        self._limits = limits
        self.epoch = epoch
        self._subject = subject
        self._device_id = device_id
        self._predictors = predictors
        self._confirmed: dict[str, tuple[int, Any]] = {}
        self._pending: dict[str, list[PendingEdit]] = {}
        self._folded: dict[str, Any] = {}

    # -- what is seen -------------------------------------------------------------------------------

    def state(self, ent: str) -> Any:
        """The predicted view, None when the entity is unknown."""
        if ent not in self._folded:
            _, view = self._confirmed.get(ent, (0, None))
            for one in self._pending.get(ent, ()):
                view = self._predicted(ent, one, view)
            self._folded[ent] = view
        return self._folded[ent]

    def confirmed(self, ent: str) -> Any:
        """The view that the server has confirmed."""
        return self._confirmed.get(ent, (0, None))[1]

    def version(self, ent: str) -> int:
        return self._confirmed.get(ent, (0, None))[0]

    def pending(self, ent: str) -> tuple[PendingEdit, ...]:
        """The edits in the fold, oldest first."""
        return tuple(self._pending.get(ent, ()))

    def entities(self) -> frozenset[str]:
        return frozenset(self._confirmed.keys() | self._pending.keys())

    @property
    def settled(self) -> bool:
        """Whether what is seen is what is confirmed, everywhere."""
        return not self._pending

    def base(self, ent: str, op: str, args: Mapping[str, Any]) -> int | None:
        """`base_fver` for an edit made now; None when it sets no register.

        The version of the value that the person sees. While an own edit of the register is under way, that is what
        the oldest of these went by: a newer value of somebody else is hidden under it.
        """
        view = self.confirmed(ent)
        register = register_of(ent.partition("/")[0], op, args, self.state(ent))
        if not register:
            return None
        for one in self._pending.get(ent, ()):
            if one.chain == chain_of(register):
                return one.edit.base
        return register_version(view, register)

    # -- what happens -------------------------------------------------------------------------------

    def queued(self, seq: int, body: Body) -> None:
        """An edit was put into the queue; also at the start, for those that are there still."""
        self._add(seq, body, None)

    def kept(self, body: Body, result: Result) -> None:
        """At the start: an edit of an earlier run that has its result, and perhaps waits for its confirmed state."""
        if result.final == "applied" and (result.version or 0) > self.version(body["ent"]):
            self._add(result.seq, body, result.version)

    def resulted(self, result: Result) -> None:
        one = self._find(result.ent, result.seq)
        if one is None:
            return
        if result.final == "applied" and result.version is not None:
            one.version = result.version
            self._prune(result.ent)
        else:
            self._remove(result.ent, one)

    def confirm(self, ent: str, version: int, view: Any, by: Mapping[str, Any] | None = None) -> None:
        """A newer state came from the server; `by` names the command behind it, if it is known. Older ones are passed
        over: an entity can be in several channels."""
        if version < self.version(ent):
            return
        self._confirmed[ent] = (version, view)
        if by is not None and (by["device_id"], by["epoch"]) == (self._device_id, self.epoch):
            one = self._find(ent, by["seq"])
            if one is not None and one.version is None:
                self._remove(ent, one)
        self._prune(ent)
        self._folded.pop(ent, None)

    def forget(self, ents: Iterable[str] | None = None) -> None:
        """These are not known any more, by default all of them. What is under way stays, over nothing."""
        for ent in list(self._confirmed if ents is None else ents):
            self._confirmed.pop(ent, None)
            self._folded.pop(ent, None)

    def renumbered(self, epoch: int, numbers: Mapping[int, int]) -> None:
        """The queue goes on under `epoch`. Edits that have their result keep their place, and no number."""
        self.epoch = epoch
        for edits in self._pending.values():
            for one in edits:
                one.seq = 0 if one.version is not None else numbers.get(one.seq, 0)

    # -- inside -------------------------------------------------------------------------------------

    def _predicted(self, ent: str, one: PendingEdit, view: Any) -> Any:
        predictor = self._predictors.get((ent.partition("/")[0], one.edit.op))
        if predictor is None:
            return view
        try:
            return predictor(view, one.edit)
        except (LookupError, TypeError, ValueError, AttributeError):
            return view  # arguments that the server will refuse predict nothing

    def _add(self, seq: int, body: Body, version: int | None) -> None:
        ent, op, args = body["ent"], body["op"], body["args"]
        try:
            at = to_rfc3339(parse(body.get("hlc", ""))[0])
        except (ValueError, OverflowError):
            at = ""
        try:
            register = register_of(ent.partition("/")[0], op, args, self.state(ent))
        except LookupError:
            register = ""
        edit = LocalEdit(op, args, self._subject, self._device_id, at, body.get("base_fver", 0))
        self._pending.setdefault(ent, []).append(PendingEdit(seq, body, edit, chain_of(register), version))
        self._folded.pop(ent, None)

    def _find(self, ent: str, seq: int) -> PendingEdit | None:
        return next((one for one in self._pending.get(ent, ()) if one.seq == seq), None)

    def _remove(self, ent: str, one: PendingEdit) -> None:
        edits = self._pending[ent]
        edits.remove(one)
        if not edits:
            del self._pending[ent]
        self._folded.pop(ent, None)

    def _prune(self, ent: str) -> None:
        """Applied edits that the confirmed state has in it."""
        version = self.version(ent)
        edits = self._pending.get(ent, [])
        confirming = [one for one in edits if one.version is not None]
        for index, one in enumerate(confirming):
            if (one.version or 0) <= version or len(confirming) - index > self._limits.confirming_max:
                self._remove(ent, one)
