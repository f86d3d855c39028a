"""Runs a load generator in a process of its own, so that it shares no interpreter with what it measures."""

import asyncio
import sys

import msgspec

from loadtests.http_load import HttpPlan
from loadtests.measure import LoadResult
from loadtests.ws_load import WsPlan


async def run_apart(plan: HttpPlan | WsPlan) -> LoadResult:
    """Run the plan and give its result. Raises `RuntimeError` when the generator fails."""
    module = "loadtests.http_load" if isinstance(plan, HttpPlan) else "loadtests.ws_load"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "-"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        out, _ = await process.communicate(msgspec.json.encode(plan))
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"{module} ended with exit code {process.returncode}")
    return msgspec.json.decode(out, type=LoadResult)
