"""A whole clinic in one process: hosts, gateways, tablets, and the network between them."""

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from actors.kinds import KINDS
from actors.room_commands import Create
from actors.runtime.client import EntityClient
from actors.runtime.entity import SYSTEM, Actor, EntityKind
from actors.runtime.host import Host
from actors.runtime.local import LOCAL_KEYS
from actors.runtime.wire import Change
from domain.errors import AtriumError
from realtime.channels import provider_sync
from services.locations import Address, Location, Room
from tests.serve.clinic import MemoryLocations
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.store import SimStore
from tests.simulation.tablets.apps import Installation
from tests.simulation.tablets.book import Book, Identity, Stored
from tests.simulation.tablets.gateways import Node
from tests.simulation.tablets.network import Network
from tests.simulation.tablets.profile import TabletProfile
from tests.simulation.world import Incarnation, SimTransport, World

CLINIC_KINDS = frozenset({"room", "session", "document"})


class KeyedHost(Host):
    """Sensitive kinds are sealed here too."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, keys=LOCAL_KEYS, **named)


class TownWorld(World):
    """Its hosts publish to the town's gateways."""

    town: "Town"

    def publish(self, one: Incarnation) -> Callable[[str, Sequence[Change]], None]:
        def publish(gateway: str, changes: Sequence[Change]) -> None:
            self.town.published(gateway, changes)

        return publish


class Town:
    def __init__(
        self,
        loop: VirtualLoop,
        rng: random.Random,
        profile: TabletProfile,
        folder: Path,
        *,
        kinds: Mapping[str, EntityKind[Any]] | None = None,
        node_class: type[Node] = Node,
        tablet_class: type[Installation] = Installation,
    ) -> None:
        self.loop = loop
        self.rng = rng
        self.profile = profile
        self.faults = profile.faults
        self.kinds = kinds or {name: kind for name, kind in KINDS.items() if name in CLINIC_KINDS}
        self.world = TownWorld(loop, rng, profile.runtime, self.kinds, host_class=KeyedHost, store_class=SimStore)
        self.world.town = self
        self.record = self.world.record
        self.book = Book(self.record)
        self.network = Network(self)
        self.clinic, self.location = self.new_id(), self.new_id()
        self.locations = MemoryLocations(self.world.store)
        self.locations.locations_by_id[self.location] = Location(
            id=self.location,
            organization_id=self.clinic,
            name="Town",
            address=Address(line1="1", city="B", country="DE"),
            time_zone="UTC",
        )
        self.rooms = sorted(self.new_id() for _ in range(profile.rooms))
        for room in self.rooms:
            self.locations.rooms_by_id[room] = Room(id=room, location_id=self.location, name=room[:8])
        self.admin = Actor("ada", ("admin",), (self.clinic,))
        self.people = [f"p{number + 1}" for number in range(profile.people)]
        self.actors = {one: Actor(one, ("provider",), (self.clinic,)) for one in self.people}
        self.scope = provider_sync(CLINIC_KINDS, self.location)
        self.folder = folder
        self.processes: list[Process] = []
        """Every program and gateway that ever was."""
        self.current: dict[str, Node] = {}
        self.tablets: list[Installation] = []
        self.office = EntityClient("office", SimTransport(self.world), loop, profile.runtime.limits)
        self.folds: dict[str, Any] = {}
        """`kind/id` → what the journal folds to (`truth.Fold`)."""
        self.noops: dict[str, dict[int, list[Stored]]] = {}
        """`kind/id` → version → commands that are recorded as applied there and made no row."""
        self.lossy: set[Identity] = set()
        """Whose storage was reset, put back or copied: what was only there may be gone."""
        self.copied: set[Identity] = set()
        """Whose storage was put back or copied: several queues went under one name."""
        self._node_class = node_class
        self._tablet_class = tablet_class
        self._lives: dict[str, int] = {}

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def hits(self, fault: str, probability: float) -> bool:
        if fault in self.faults and self.rng.random() < probability:
            self.record.count(fault)
            return True
        return False

    # -- gateways ---------------------------------------------------------------------------------

    def start_gateway(self, seat: str) -> Node:
        self._lives[seat] = self._lives.get(seat, 0) + 1
        node = self._node_class(self, seat, self._lives[seat])
        self.current[seat] = node
        return node

    def open_nodes(self) -> list[Node]:
        """Those that a load balancer sends new connections to."""
        return [
            one
            for one in self.current.values()
            if one.ready and not (one.leaving or one.process.dead or one.process.frozen)
        ]

    def kill_gateway(self, node: Node) -> None:
        self.loop.kill(node.process)
        for connection in self.network.live():
            if connection.node is node:
                connection.abandoned()

    def published(self, gateway: str, changes: Sequence[Change]) -> None:
        for node in self.current.values():
            if node.name == gateway and not node.process.dead:
                node.bus.publish(changes)

    # -- people and tablets -----------------------------------------------------------------------

    def hand_out_tablets(self) -> None:
        """Everybody gets one; some have two, and some of those are somebody else's installation too."""
        rng = self.rng
        for number in range(self.profile.tablets):
            subject = self.people[number % len(self.people)]
            device_id = self.new_id()
            others = [one for one in self.tablets if one.subject != subject]
            if number >= len(self.people) and others and rng.random() < 0.3:
                device_id = rng.choice(others).device_id
            self.add_tablet(f"t{number + 1}", subject, device_id)

    def add_tablet(self, label: str, subject: str, device_id: str) -> Installation:
        tablet = self._tablet_class(self, label, subject, device_id, self.folder)
        tablet.edits_left = self.profile.edits
        self.tablets.append(tablet)
        return tablet

    async def ask(self, kind: str, id: str, command: Any, actor: Actor) -> bool:
        """In the name of the office, until it is done; False when it is refused."""
        command_id = self.rng.randbytes(16)
        while True:
            try:
                await self.office.ask(kind, id, command, actor=actor, command_id=command_id)
            except AtriumError as error:
                if error.failure.status < 500 and error.failure.status != 429:
                    return False
            else:
                return True

    async def open_rooms(self) -> None:
        for room in self.rooms:
            create = Create(organization_id=self.clinic, location_id=self.location, name=room[:8])
            assert await self.ask("room", room, create, SYSTEM)

    def proof(self, subject: str) -> str:
        return f"proof of {subject}"


def decoded(state: Any) -> Any:
    """A view as a client has it."""
    return msgspec.json.decode(msgspec.json.encode(state))
