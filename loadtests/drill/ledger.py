"""What clients sent and saw acknowledged, held against the journal and against what the entities show.

Every command is known by its id from the moment before it is sent, so nothing can hide in a sum: not a lost command
behind a doubled one, not a command that was acknowledged under another version than it has.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

UNANSWERED = 0


class Found(msgspec.Struct, frozen=True):
    """One cart afterwards. `rows` are (version, command id) of its journal, by version; the first one created it.

    `version` and `quantity` (of all lines together) are what the API shows.
    """

    rows: Sequence[tuple[int, bytes]]
    version: int
    quantity: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Counts. Only `acknowledged` and `unanswered` may be other than zero.

    lost           acknowledged, and not in the journal
    duplicated     more than once in the journal, or never sent by anybody
    misplaced      acknowledged as another version than the journal has it under
    gaps           versions missing or repeated in a journal
    disagreements  carts whose view has another version or another quantity than their journal
    """

    acknowledged: int = 0
    unanswered: int = 0
    lost: int = 0
    duplicated: int = 0
    misplaced: int = 0
    gaps: int = 0
    disagreements: int = 0

    @property
    def violations(self) -> int:
        return self.lost + self.duplicated + self.misplaced + self.gaps + self.disagreements


class Ledger:
    """One add of quantity 1 per command. `sent[cart][command id]` is the acknowledged version, 0 without one."""

    def __init__(self) -> None:
        self.sent: dict[str, dict[bytes, int]] = {}

    def open(self, cart: str) -> None:
        self.sent.setdefault(cart, {})

    def send(self, cart: str, command_id: bytes) -> None:
        """About to be sent for the first time."""
        self.sent[cart][command_id] = UNANSWERED

    def acknowledge(self, cart: str, command_id: bytes, version: int) -> None:
        self.sent[cart][command_id] = version

    def acknowledged(self) -> int:
        return sum(version != UNANSWERED for commands in self.sent.values() for version in commands.values())


def judge(ledger: Ledger, found: Mapping[str, Found]) -> Verdict:
    """Cart by cart. A cart that was not found has an empty journal."""
    none = Found((), 0, 0)
    return _sum(_judge_cart(commands, found.get(cart, none)) for cart, commands in ledger.sent.items())


def _judge_cart(commands: Mapping[bytes, int], found: Found) -> Verdict:
    created, *adds = found.rows or [(0, b"")]
    times = Counter(command_id for _, command_id in adds)
    places = {command_id: version for version, command_id in adds}
    acknowledged = {command_id: version for command_id, version in commands.items() if version != UNANSWERED}
    strangers = sum(count for command_id, count in times.items() if command_id not in commands)
    repeats = sum(count - 1 for command_id, count in times.items() if command_id in commands)
    versions = [version for version, _ in (created, *adds)]
    expected = list(range(1, len(versions) + 1))
    return Verdict(
        acknowledged=len(acknowledged),
        unanswered=len(commands) - len(acknowledged),
        lost=sum(command_id not in places for command_id in acknowledged),
        duplicated=strangers + repeats,
        misplaced=sum(places.get(command_id, version) != version for command_id, version in acknowledged.items()),
        gaps=sum(version != wanted for version, wanted in zip(versions, expected, strict=True)),
        disagreements=int(found.version != versions[-1] or found.quantity != len(adds)),
    )


def _sum(verdicts: Iterable[Verdict]) -> Verdict:
    totals: Counter[str] = Counter()
    for verdict in verdicts:
        totals.update(msgspec.structs.asdict(verdict))
    return Verdict(**totals)
