"""Runs a load generator in a process of its own, so that it shares no interpreter with what it measures."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from loadtests.http_load import HttpPlan
from loadtests.measure import LoadResult
from loadtests.tablets.plans import READY_LINE, Plan, TabletResult
from loadtests.ws_load import WsPlan

_LINE_BYTES_MAX: Final = 1 << 24


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


class TabletsApart:
    """A generator of tablets at work."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ready(self) -> None:
        """Every tablet is connected and has its snapshots. Raises `RuntimeError` when the generator fails."""
        if await self._line() != READY_LINE:
            await self._failed()

    async def result(self) -> TabletResult:
        """Let it end, and give what it found. Raises `RuntimeError` when the generator fails."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        line = await self._line()
        if await self._process.wait() != 0:
            await self._failed()
        return msgspec.json.decode(line, type=TabletResult)

    async def _line(self) -> bytes:
        return b"" if self._process.stdout is None else await self._process.stdout.readline()

    async def _failed(self) -> None:
        raise RuntimeError(f"loadtests.tablets ended with exit code {await self._process.wait()}")


@asynccontextmanager
async def tablets_apart(plan: Plan) -> AsyncIterator[TabletsApart]:
    """Start a generator with this plan; it is gone at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.tablets"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES_MAX,
    )
    try:
        if process.stdin is not None:
            process.stdin.write(msgspec.json.encode(plan) + b"\n")
            await process.stdin.drain()
        yield TabletsApart(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run_tablets_apart(plan: Plan) -> TabletResult:
    """Run the plan and give its result. Raises `RuntimeError` when the generator fails."""
    async with tablets_apart(plan) as tablets:
        await tablets.ready()
        return await tablets.result()
