"""Waiting for a condition with a deadline that says what was expected."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

POLL_S = 0.005


async def until(condition: Callable[[], Awaitable[Any] | Any], expected: str, *, within_s: float = 15.0) -> Any:
    """The condition's first true value; fails with `expected` when time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {expected}")
        await asyncio.sleep(POLL_S)
