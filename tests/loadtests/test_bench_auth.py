import asyncio
import time

import pytest

from loadtests.bench.auth import AUTHENTICATION, AUTHORIZATION, Measured, Stopwatch


class Door:
    def bell(self) -> str:
        sum(range(20_000))
        return "ring"

    def knock(self) -> str:
        return self.bell()

    async def open(self) -> str:
        await asyncio.sleep(0)
        return self.bell()

    def fail(self) -> None:
        raise ValueError("broken")


async def test_what_calls_another_is_counted_once_and_the_methods_come_back() -> None:
    watch, door, before = Stopwatch(), Door(), Door.bell
    with watch.around((Door, "bell"), (Door, "knock"), (Door, "open"), (Door, "fail")):
        began = time.perf_counter()
        assert (door.knock(), await door.open()) == ("ring", "ring")
        with pytest.raises(ValueError, match="broken"):
            door.fail()
        elapsed = time.perf_counter() - began
    assert 0 < watch.seconds <= elapsed
    assert Door.bell is before


def test_everything_that_is_timed_is_there() -> None:
    assert all(callable(owner.__dict__[name]) for owner, name in (*AUTHENTICATION, *AUTHORIZATION))


def test_the_share_is_of_the_whole_request() -> None:
    assert Measured(200.0, 30.0).share == pytest.approx(0.15)
