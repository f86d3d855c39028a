"""The sockets of Locust's users against a small server, on real threads."""

import asyncio
import time
from collections import Counter

from loadtests.blocking import LiveSocket
from tests.loadtests.tablet_server import TabletServer, serving


class Reports:
    def __init__(self):
        self.count = Counter()
        self.failures = {}

    def __call__(self, name, milliseconds, error):
        assert milliseconds >= 0
        self.count[name] += 1
        if error is not None:
            self.failures[name] = str(error)


async def _using(server, work):
    """Run `work(socket)` on a thread; what was reported."""
    reports = Reports()
    async with serving(server) as url:

        def use():
            socket = LiveSocket(url, "token", reports)
            try:
                work(socket)
            finally:
                socket.close()

        await asyncio.wait_for(asyncio.to_thread(use), 30)
    return reports


async def test_commands_get_their_results_and_changes_are_reported():
    def work(socket):
        socket.snapshot()
        for _ in range(20):
            socket.command("room/1", "claim")
        socket.shown("room/1", 20, time.perf_counter())

    reports = await _using(TabletServer(own=("room/1",)), work)
    assert reports.failures == {}
    expected = {"connect": 1, "snapshot": 1, "room claim": 20, "room change": 20, "shown": 1}
    assert reports.count == expected


async def test_a_rejected_command_is_a_failure_with_its_code_and_the_next_goes_on():
    def work(socket):
        socket.command("room/1", "claim")
        socket.command("room/1", "release")

    reports = await _using(TabletServer(lambda number: "rejected" if number == 1 else None), work)
    assert reports.failures == {"room claim": "rejected invalid"}
    assert reports.count["room release"] == 1


async def test_a_socket_that_is_cut_fails_what_waits_and_does_not_hang():
    def work(socket):
        socket.command("room/1", "claim")

    reports = await _using(TabletServer(lambda _: "cut"), work)
    assert "closed" in reports.failures["room claim"]


async def test_an_error_frame_is_a_failure_of_its_command():
    reports = await _using(TabletServer(lambda _: "temporary"), lambda socket: socket.command("room/1", "claim"))
    assert reports.failures == {"room claim": "error busy"}
