"""The calls between a client and a host: coalesced, recovered when lost, taken once."""

import asyncio

import msgspec

from actors.runtime.client import HostUnavailableError
from actors.runtime.wire import COMMAND, Envelope, Incoming, Outgoing
from domain.errors import Invalid
from domain.ids import new_command_id
from tests.actors.runtime.counter import OWNER, Add
from tests.actors.runtime.harness import Rig, turns_of_the_loop, virtual

_decode = msgspec.msgpack.Decoder(Outgoing)


class Wire:
    """Counts the calls of a rig's clients and lets a test lose them."""

    def __init__(self, rig: Rig) -> None:
        self.calls: list[Outgoing] = []
        self.lose_requests = 0
        self.lose_replies = 0
        self._exchange = rig.transport.exchange
        rig.transport.exchange = self.exchange  # type: ignore[method-assign]

    async def exchange(self, host: str, payload: bytes) -> bytes:
        self.calls.append(_decode.decode(payload))
        await asyncio.sleep(0.001)
        if self.lose_requests:
            self.lose_requests -= 1
            raise HostUnavailableError(host)
        raw = await self._exchange(host, payload)
        if self.lose_replies:
            self.lose_replies -= 1
            raise HostUnavailableError(host)
        return raw


def call(corr: int, amount: int, session: int, number: int, client: str = "c") -> bytes:
    command = msgspec.msgpack.encode(Add(amount))
    env = Envelope(corr, COMMAND, "counter", "a", command, new_command_id(), b"h" * 16, OWNER, "", "", 1 << 60)
    return msgspec.msgpack.encode(Outgoing(client, [env], session, number))


def correlations(raw: bytes) -> list[int]:
    return [reply.corr for reply in msgspec.msgpack.decode(raw, type=Incoming).replies]


@virtual
async def test_requests_made_together_travel_in_one_call():
    async with Rig() as rig:
        wire = Wire(rig)
        await asyncio.gather(*(rig.client.ask("counter", f"e{n}", Add(1), actor=OWNER) for n in range(100)))
        assert [len(one.envelopes) for one in wire.calls if one.envelopes] == [100]


@virtual
async def test_requests_made_while_calls_are_under_way_gather_for_the_next():
    async with Rig() as rig:
        wire = Wire(rig)

        async def caller(number: int) -> None:
            for _ in range(20):
                await rig.client.ask("counter", f"e{number}", Add(1), actor=OWNER)

        await asyncio.gather(*(caller(number) for number in range(50)))
        assert sum(len(one.envelopes) for one in wire.calls) == 1_000
        assert len(wire.calls) < 100


@virtual
async def test_a_call_is_bounded_in_bytes():
    async with Rig(exchange_bytes_max=1_000) as rig:
        wire = Wire(rig)
        await asyncio.gather(*(rig.client.ask("counter", f"e{n}", Add(1), actor=OWNER) for n in range(30)))
        assert max(len(one.envelopes) for one in wire.calls) <= 6


@virtual
async def test_one_slow_entity_does_not_hold_up_the_answers_of_others():
    async with Rig() as rig:
        await rig.client.ask("counter", "warm", Add(1), actor=OWNER)
        load = rig.journal.load

        async def slow_load(keys):
            await asyncio.sleep(3)
            return await load(keys)

        rig.journal.load = slow_load
        cold = asyncio.create_task(rig.client.ask("counter", "cold", Add(1), actor=OWNER))
        await turns_of_the_loop()
        begun = asyncio.get_running_loop().time()
        for _ in range(5):
            await rig.client.ask("counter", "warm", Add(1), actor=OWNER)
        assert asyncio.get_running_loop().time() - begun < 0.1
        assert (await cold).version == 1


@virtual
async def test_a_quiet_client_makes_no_calls():
    async with Rig() as rig:
        wire = Wire(rig)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        before = len(wire.calls)
        await asyncio.sleep(60)
        assert len(wire.calls) == before


@virtual
async def test_lost_requests_and_lost_replies_are_asked_again_and_executed_once():
    async with Rig() as rig:
        wire = Wire(rig)
        wire.lose_requests = 2
        assert (await rig.client.ask("counter", "a", Add(1), actor=OWNER)).version == 1
        wire.lose_replies = 3
        answer = await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        assert (answer.version, answer.data, answer.duplicate) == (2, {"total": 2}, True)
        assert len(rig.rows("a")) == 2


@virtual
async def test_a_lost_reply_may_have_carried_the_answers_to_earlier_calls():
    async with Rig() as rig:
        wire = Wire(rig)
        rig.gate.open.clear()
        first = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(rig.client.ask("counter", "b", Add(1), actor=OWNER))
        await asyncio.sleep(0.01)
        wire.lose_replies = 1
        rig.gate.open.set()
        answers = await asyncio.gather(first, second)
        assert [answer.version for answer in answers] == [1, 1]
        assert asyncio.get_running_loop().time() < 1


@virtual
async def test_a_call_that_was_given_up_takes_no_replies_with_it():
    """A host that hangs and continues still holds the calls of before; nobody reads their answers."""
    async with Rig() as rig:
        endpoint = rig.transport.endpoints["host-1"]
        rig.gate.open.clear()
        given_up = asyncio.create_task(endpoint.exchange(call(1, 1, session=1, number=0)))
        await turns_of_the_loop()
        again = asyncio.create_task(endpoint.exchange(call(2, 1, session=2, number=0)))
        await turns_of_the_loop()
        rig.gate.open.set()
        assert correlations(await again) == [2]
        assert 2 not in correlations(await given_up)


@virtual
async def test_a_call_that_arrives_twice_or_after_it_was_given_up_is_not_executed_again():
    async with Rig() as rig:
        endpoint = rig.transport.endpoints["host-1"]
        one = call(1, 1, session=1, number=0)
        assert correlations(await endpoint.exchange(one)) == [1]
        assert correlations(await endpoint.exchange(one)) == []
        late = call(2, 1, session=1, number=2)
        assert correlations(await endpoint.exchange(call(3, 1, session=1, number=1))) == [3]
        assert correlations(await endpoint.exchange(call(4, 1, session=2, number=0))) == [4]
        assert correlations(await endpoint.exchange(late)) == []
        assert len(rig.rows("a")) == 3


@virtual
async def test_a_refusal_of_an_attempt_that_was_given_up_does_not_count():
    """It was asked again meanwhile, and that attempt may be accepted: the caller must not hear both."""
    async with Rig() as rig:
        await rig.client.ask("counter", "a", Add(5), actor=OWNER)
        wire = Wire(rig)
        exchange, held = rig.transport.exchange, asyncio.Event()

        async def hold_the_refusal(host: str, payload: bytes) -> bytes:
            raw = await exchange(host, payload)
            if b"conflict" in raw:
                await held.wait()
            return raw

        rig.transport.exchange = hold_the_refusal  # type: ignore[method-assign]
        asked = asyncio.create_task(rig.client.ask("counter", "a", Add(5, limit=7), actor=OWNER))
        await asyncio.sleep(0.1)
        wire.lose_requests = 1
        assert (await rig.client.ask("counter", "a", Add(-4), actor=OWNER)).version == 2
        held.set()
        assert (await asked).version == 3
        assert (await rig.client.ask("counter", "a", Add(0), actor=OWNER)).data == {"total": 6}


@virtual
async def test_clients_do_not_see_each_others_replies():
    async with Rig() as rig:
        endpoint = rig.transport.endpoints["host-1"]
        both = await asyncio.gather(
            endpoint.exchange(call(1, 1, session=1, number=0, client="c")),
            endpoint.exchange(call(1, 5, session=1, number=0, client="d")),
        )
        totals = [msgspec.msgpack.decode(raw, type=Incoming).replies[0].data for raw in both]
        assert totals == [{"total": 1}, {"total": 6}]


@virtual
async def test_what_a_dead_incarnation_was_asked_is_asked_again_of_its_successor():
    async with Rig() as rig:
        changed: list[str] = []
        rig.client.on_host_change(changed.append)
        await rig.client.ask("counter", "a", Add(1), actor=OWNER)
        rig.host.writer.add = lambda entry: None  # it dies with this command in its hands
        asked = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await asyncio.sleep(0.5)
        await rig.start_host("host-1")
        assert (await asked).version == 2
        assert asyncio.get_running_loop().time() < 2
        assert changed == ["host-1"]


@virtual
async def test_a_caller_that_goes_away_leaves_nothing_behind_in_the_client():
    async with Rig() as rig:
        rig.gate.open.clear()
        asked = asyncio.create_task(rig.client.ask("counter", "a", Add(1), actor=OWNER))
        await asyncio.sleep(0.1)
        asked.cancel()
        await asyncio.sleep(0.3)
        assert rig.client.pending == 0
        rig.gate.open.set()
        await asyncio.sleep(2)
        assert all(not lane._awaiting for lane in rig.client._lanes.values())
        assert len(rig.rows("a")) == 1


@virtual
async def test_a_client_that_is_gone_is_forgotten_with_the_replies_nobody_takes():
    async with Rig() as rig:
        endpoint = rig.transport.endpoints["host-1"]
        for number in range(20):
            gone = asyncio.create_task(endpoint.exchange(call(1, 1, session=1, number=0, client=f"gone-{number}")))
            await turns_of_the_loop(1)
            gone.cancel()
        await rig.client.ask("counter", "b", Add(1), actor=OWNER)
        assert endpoint.clients == 21
        for _ in range(20):
            await asyncio.sleep(10)
            await rig.client.ask("counter", "b", Add(1), actor=OWNER)
        other = rig.another_client()
        await other.start()
        await other.read("counter", "b", actor=OWNER)
        assert endpoint.clients == 2


@virtual
async def test_a_client_that_was_forgotten_while_it_was_idle_goes_on_as_before():
    async with Rig() as rig:
        endpoint = rig.transport.endpoints["host-1"]
        for _ in range(3):
            await rig.client.ask("counter", "b", Add(1), actor=OWNER)
        await asyncio.sleep(200)
        other = rig.another_client()
        await other.start()
        await other.read("counter", "b", actor=OWNER)
        assert endpoint.clients == 1
        for version in range(4, 1_004):
            assert (await rig.client.ask("counter", "b", Add(1), actor=OWNER)).version == version
        assert endpoint.clients == 2


@virtual
async def test_what_cannot_be_sent_fails_alone():
    async with Rig() as rig:
        asked = [
            rig.client.ask("counter", "a", Add(1), actor=OWNER, device=device, deadline_ms=2_000)
            for device in ("one", "\ud800", "two")
        ]
        good, bad, also_good = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(bad, Invalid)
        assert (good.version, also_good.version) == (1, 2)


@virtual
async def test_a_ready_reply_waits_a_moment_for_others_that_are_expected_and_no_longer():
    async with Rig(exchange_wait_ms=1_000) as rig:
        await rig.client.ask("counter", "warm", Add(1), actor=OWNER)
        rig.gate.read_seconds = 0.7  # the cold entity answers long after the moment, before the call's own end
        loop = asyncio.get_running_loop()
        began = loop.time()
        cold = asyncio.create_task(rig.client.ask("counter", "cold", Add(1), actor=OWNER))
        await rig.client.ask("counter", "warm", Add(1), actor=OWNER)
        assert loop.time() - began <= rig.limits.exchange_gather_ms / 1000 + 0.05
        assert not cold.done()
        await cold
