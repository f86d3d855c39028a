"""The generator of tablets against a small server."""

import asyncio

from loadtests.apart import run_tablets_apart, tablets_apart
from loadtests.clinic import FIELDS, NOTES, POINTS, Clinic, Site, day_offline, round_of
from loadtests.tablets.__main__ import run_tablets
from loadtests.tablets.fleet import Device
from loadtests.tablets.plans import Idling, Returning, Ward, Watching, Working
from loadtests.wire import Op
from tests.loadtests.tablet_server import TabletServer, serving


def _devices(count, *channels):
    return [Device(f"subject-{n}", "token", f"device-{channels}-{n}", list(channels)) for n in range(count)]


def _working(url, **changes):
    wards = [Ward(f"room/{n}", 0, round_of(str(n)), _devices(3, f"room/{n}")) for n in range(2)]
    return Working(**{"url": url, "wards": wards, "per_second": 20, "seconds": 0.5, "warmup_seconds": 0.1, **changes})


async def test_a_day_counts_each_command_and_its_change_at_every_watcher():
    server = TabletServer()
    async with serving(server) as url:
        result = await run_tablets(_working(url))
    assert result.errors == 0
    assert result.pushes.count == 3 * result.commands.count > 0
    assert sum(result.acknowledged) == sum(server.versions.values()) == server.received


async def test_those_of_a_ward_act_in_turn_along_its_script():
    server = TabletServer()
    async with serving(server) as url:
        await run_tablets(_working(url))
    said = [body for bodies in server.bodies.values() for body in bodies if body["ent"] == "room/0"]
    steps = [body["args"]["to"] for body in sorted(said, key=lambda body: body["hlc"])]
    script = [op.args["to"] for op in round_of("0")]
    assert steps == [script[n % len(script)] for n in range(len(steps))]


async def test_pushes_that_do_not_come_are_errors():
    server = TabletServer(lambda number: "silent" if number == 4 else None)
    async with serving(server) as url:
        result = await run_tablets(_working(url, tail_seconds=0.2))
    assert result.errors == 3
    assert result.outcomes["pushes missing"] == 3


async def test_a_crowd_sees_one_change_after_the_other():
    server = TabletServer()
    async with serving(server) as url:
        ward = Ward("room/1", 0, round_of("1"), _devices(5, "room/1"))
        mover = Device("mover", "token", "mover", ["room/1"])
        plan = Watching(url=url, mover=mover, ward=ward, changes=6, pause_seconds=0.0)
        result = await run_tablets(plan)
    assert (result.errors, result.pushes.count, result.commands.count) == (0, 30, 6)


def _queues(count, length):
    return [[Op(f"document/{n}", "append_note", {"text": str(i)}) for i in range(length)] for n in range(count)]


async def test_a_returning_queue_is_applied_once_in_order_through_cuts_and_refusals_for_now():
    troubles = {3: "cut", 40: "temporary", 90: "cut", 130: "temporary"}
    server = TabletServer(troubles.get)
    devices, queues = _devices(2), _queues(2, 100)
    async with serving(server) as url:
        result = await run_tablets(Returning(url=url, devices=devices, queues=queues, seconds_max=20))
    assert (result.errors, result.acknowledged) == (0, [100, 100])
    assert result.outcomes["lost"] >= 1
    for device in devices:
        assert [body["args"]["text"] for body in server.bodies[device.device_id]] == [str(i) for i in range(100)]


async def test_what_is_rejected_on_return_is_an_error_and_holds_nothing_up():
    server = TabletServer(lambda number: "rejected" if number == 5 else None)
    async with serving(server) as url:
        plan = Returning(url=url, devices=_devices(1), queues=_queues(1, 20), seconds_max=20)
        result = await run_tablets(plan)
    assert (result.errors, result.acknowledged) == (1, [19])
    assert result.outcomes["rejected invalid"] == 1


async def test_apart_idle_tablets_stay_until_they_are_let_go():
    server = TabletServer()
    devices = _devices(4, "room/1")
    async with (
        asyncio.timeout(30),
        serving(server) as url,
        tablets_apart(Idling(url=url, devices=devices)) as tablets,
    ):
        await tablets.ready()
        assert len(server.watchers["room/1"]) == 4
        result = await tablets.result()
    assert (result.connected, result.errors) == (4, 0)


async def test_a_load_runs_apart_and_reports():
    server = TabletServer()
    async with serving(server) as url, asyncio.timeout(30):
        plan = Returning(url=url, devices=_devices(2), queues=_queues(2, 3), seconds_max=20)
        result = await run_tablets_apart(plan)
    assert result.acknowledged == [3, 3]


def test_a_day_offline_is_fifty_commands():
    clinic = Clinic("organization", "product", [Site("location", ["room"])], lambda *_, **__: "token")
    ops = day_offline(clinic, clinic.sites[0], "room", "document")
    assert len(ops) == 50 == FIELDS + POINTS + NOTES + 1 + len(round_of("room"))
