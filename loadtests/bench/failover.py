"""One of two hosts is killed with SIGKILL under load; clients repeat what got no answer, under the same key.

`longest_pause_ms` is the longest that any one client went without a success.
"""

from loadtests.bench.on_stack import atrium_up, shop_through
from loadtests.bench.report import Metrics, Progress
from loadtests.ground import make_catalog


async def run(progress: Progress) -> Metrics:
    catalog = make_catalog()
    async with atrium_up(progress, catalog) as stack:
        victim, pid = min((await stack.host_pids()).items())

        async def kill() -> None:
            stack.kill_host(pid)

        with progress.step(f"Load, and {victim} killed in the middle of it"):
            result, found = await shop_through(stack, catalog, kill, retry=True)
        progress.note(result.summary())
    return {
        "acknowledged": found.acknowledged,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "longest_pause_ms": result.longest_pause_ms,
        "requests_per_s": result.per_second,
        "retried": result.retried,
        "errors": result.errors,
    }
