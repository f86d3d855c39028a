"""Batch work as Ray tasks: a function in a process of its own, wherever there is room. The one module that starts them.

Ray retries nothing: only whoever asked knows what may be repeated.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import ray
from ray.exceptions import RayError


class TaskDiedError(Exception):
    """The process of the task ended before the task did, or the task raised."""


async def run_task(function: Callable[..., None], *args: Any) -> None:
    """Run `function(*args)` as a task and wait. Raises `TaskDiedError`."""
    try:
        await _remote(function).remote(*args)
    except RayError as error:
        raise TaskDiedError(type(error).__name__) from error


@cache
def _remote(function: Callable[..., None]) -> Any:
    """Registered once: each registration stays in the cluster."""
    return ray.remote(function).options(num_cpus=0, max_retries=0)
