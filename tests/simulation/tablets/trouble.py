"""What goes wrong around tablets: networks, programs, storages, clocks, gateways, rights. Until it is told to stop."""

import asyncio
from typing import TYPE_CHECKING

from actors.runtime.shards import shard_of
from actors.session_commands import Restore, Revoke
from tests.simulation.chaos import Chaos
from tests.simulation.tablets.apps import Installation
from tests.simulation.tablets.people import Person

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.simulation.tablets.town import Town

_COPIES_MAX = 2
_OFTEN = {"offline": 4, "half_open": 2, "app_kill": 2}
_EPOCH_STEP_S = 2.0
"""A storage without a trace of its epoch begins with the seconds of the clock: no two in one second."""


class HostTrouble(Chaos):
    """The hosts' own chaos, with shards of any kind."""

    def __init__(self, town: "Town") -> None:
        super().__init__(town.world, [])
        self._town = town

    def _shards(self, owner: str) -> list[int]:
        store = self._world.store
        owned = [shard for shard, name in enumerate(store.owners) if name == owner]
        used = {shard_of(kind, id_) for kind, id_ in list(store.by_entity)}
        chosen = [shard for shard in owned if self._rng.random() < (0.5 if shard in used else 0.05)]
        return chosen or owned[:1]


class Trouble:
    def __init__(self, town: "Town") -> None:
        self._town = town
        self._rng = town.rng
        self._stopped = False
        self._copies = 0
        self.hosts = HostTrouble(town)
        self._revoked: dict[str, None] = {}
        actions: dict[str, Callable[[], Awaitable[None]]] = {
            "offline": self._go_offline,
            "half_open": self._fall_silent,
            "app_kill": self._kill_app,
            "storage_reset": self._reset_storage,
            "restored_copy": self._restore_copy,
            "clone": self._clone,
            "gateway_kill": self._kill_gateway,
            "gateway_hang": self._hang_gateway,
            "drain": self._drain,
            "bus_gap": self._bus_gap,
            "person_revoked": self._revoke_person,
            "device_revoked": self._revoke_device,
            "wrong_clock": self._wrong_clock,
        }
        self._actions = [
            action for name, action in actions.items() if name in town.faults for _ in range(_OFTEN.get(name, 1))
        ]

    async def rage(self) -> None:
        while not self._stopped:
            await asyncio.sleep(self._rng.expovariate(1 / self._town.profile.trouble_every_s))
            if self._actions and not self._stopped:
                await self._rng.choice(self._actions)()

    async def heal(self) -> None:
        """Everything works again, everybody may, every program runs. Nobody edits any more."""
        self._stopped = True
        town = self._town
        town.faults = frozenset()
        town.network.out_of_reach.clear()
        await self.hosts.heal()
        for node in list(town.current.values()):
            if node.process.frozen and not node.process.dead:
                town.loop.resume(node.process)
            if node.process.dead or node.leaving:
                town.start_gateway(node.seat)
        while len(town.open_nodes()) < len(town.current):  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(0.05)
        for session_id in self._revoked:
            await town.ask("session", session_id, Restore(), town.admin)
        for tablet in town.tablets:
            tablet.edits_left = 0
            if tablet.app is None:
                tablet.start()

    def switch_on(self, tablet: Installation) -> None:
        """Start the program, and have somebody work with it."""
        app = tablet.start()
        self._town.loop.spawn(app.process, Person(self._town, app).work())

    def _one(self) -> Installation:
        return self._rng.choice(self._town.tablets)

    def _fault(self, what: str, lasting: float = 0.0) -> None:
        self._town.record.fault(what, lasting)

    # -- tablets ----------------------------------------------------------------------------------

    async def _go_offline(self) -> None:
        tablet, seconds = self._one(), self._rng.choice((0.1, 1.0, 4.0, 12.0))
        self._fault(f"offline {tablet.label}", seconds)
        self._town.network.out_of_reach[tablet.label] = self._town.loop.time() + seconds
        self._town.network.lose(tablet.label, silently=False)

    async def _fall_silent(self) -> None:
        tablet = self._one()
        self._fault(f"half_open {tablet.label}")
        self._town.network.lose(tablet.label, silently=True)

    async def _kill_app(self) -> None:
        tablet = self._one()
        if tablet.app is not None:
            self._fault(f"app_kill {tablet.label}")
            await self._off_and_on(tablet, "killed")

    async def _off_and_on(self, tablet: Installation, why: str) -> None:
        tablet.kill(why)
        await asyncio.sleep(self._rng.choice((0.0, 0.2, 1.5)))
        if tablet.app is None:
            self.switch_on(tablet)

    async def _reset_storage(self) -> None:
        tablet = self._one()
        if tablet.app is None:
            return
        identity_too = self._town.loop.time() > tablet.reset_at + _EPOCH_STEP_S and self._rng.random() < 0.5
        self._fault(f"storage_reset {tablet.label}")
        tablet.kill("its storage is reset")
        tablet.erase(identity_too=identity_too)
        self.switch_on(tablet)

    async def _restore_copy(self) -> None:
        """First a backup, and later its return."""
        tablet = self._one()
        if tablet.backup is None:
            tablet.back_up()
        elif tablet.app is not None:
            self._fault(f"restored_copy {tablet.label}")
            tablet.kill("a backup is put back")
            tablet.restore()
            if self._rng.random() < 0.5:
                self._town.network.out_of_reach[tablet.label] = self._town.loop.time() + 1.5
            self.switch_on(tablet)

    async def _clone(self) -> None:
        """A second tablet with the same storage: two of one name."""
        if self._copies >= _COPIES_MAX:
            return
        tablet = self._one()
        self._copies += 1
        tablet.back_up()
        copy = self._town.add_tablet(f"{tablet.label}c{self._copies}", tablet.subject, tablet.device_id)
        copy.edits_left = self._town.profile.edits // 2
        self._fault(f"clone {copy.label}")
        tablet.restore(copy)
        self.switch_on(copy)

    async def _wrong_clock(self) -> None:
        tablet = self._one()
        tablet.clock_wrong_ms = self._rng.choice((-600_000, -5_000, 0, 30_000, 365 * 86_400_000))
        self._fault(f"wrong_clock {tablet.label} by {tablet.clock_wrong_ms} ms")

    # -- gateways ---------------------------------------------------------------------------------

    async def _kill_gateway(self) -> None:
        nodes = self._town.open_nodes()
        if nodes:
            node = self._rng.choice(nodes)
            self._fault(f"gateway_kill {node.name}", 1.0)
            self._town.kill_gateway(node)
            await asyncio.sleep(self._rng.choice((0.05, 0.5)))
            self._town.start_gateway(node.seat)

    async def _hang_gateway(self) -> None:
        nodes = self._town.open_nodes()
        if not nodes:
            return
        node, seconds = self._rng.choice(nodes), self._rng.choice((0.3, 2.0, 6.0))
        self._fault(f"gateway_hang {node.name}", seconds)
        self._town.loop.suspend(node.process)
        if seconds > 1.0:
            for connection in self._town.network.live():
                if connection.node is node:
                    connection.hung()
        self._town.loop.call_later(seconds, self._wake, node)

    def _wake(self, node: object) -> None:
        process = node.process  # type: ignore[attr-defined]
        if process.frozen and not process.dead:
            self._town.loop.resume(process)

    async def _drain(self) -> None:
        nodes = self._town.open_nodes()
        if nodes:
            node = self._rng.choice(nodes)
            self._fault(f"drain {node.name}", 3.0)
            node.drain()
            self._town.start_gateway(node.seat)

    async def _bus_gap(self) -> None:
        nodes = self._town.open_nodes()
        if nodes:
            seconds = self._rng.choice((0.1, 1.0, 3.0))
            self._fault("bus_gap", seconds)
            self._rng.choice(nodes).bus.deafen(seconds)

    # -- rights -----------------------------------------------------------------------------------

    async def _revoke_person(self) -> None:
        await self._revoke("person")

    async def _revoke_device(self) -> None:
        await self._revoke("device")

    async def _revoke(self, what: str) -> None:
        tablet, town = self._one(), self._town
        command = Revoke(what=what, reason="left the clinic")  # type: ignore[arg-type]
        self._revoked[tablet.session_id] = None
        if await town.ask("session", tablet.session_id, command, town.admin):
            self._fault(f"{what}_revoked {tablet.label}")
            await asyncio.sleep(self._rng.uniform(0.2, 2.5))
            await town.ask("session", tablet.session_id, Restore(), town.admin)
