"""Tasks beside the callers of hub and presence: what fails is said, what runs ends with its owner."""

import asyncio

from realtime.tasks import Tasks
from tests.hearing import heard


async def fails() -> None:
    raise ZeroDivisionError("on purpose")


async def test_what_a_task_raises_is_logged_with_its_owner() -> None:
    with heard() as logged:
        task = Tasks("hub", "gateway-1").spawn(fails())
        await asyncio.wait([task])
        await asyncio.sleep(0)
    (line,) = logged
    assert (line["event"], line["of"], line["gateway"]) == ("gateway_task_failed", "hub", "gateway-1")
    assert isinstance(line["exc_info"], ZeroDivisionError)


async def test_stopping_ends_what_runs_and_says_nothing() -> None:
    tasks = Tasks("hub", "gateway-1")
    with heard() as logged:
        task = tasks.spawn(asyncio.Event().wait())  # type: ignore[arg-type]  # it never ends by itself
        await tasks.stop()
    assert task.cancelled()
    assert logged == []
