"""`python -m loadtests.tablets`: reads one plan, a line of JSON, from stdin; prints a line `ready`, and at the end one
`TabletResult` line."""

import gc
import resource
import sys

import msgspec
import uvloop

from loadtests.tablets.idling import Idle
from loadtests.tablets.plans import Idling, Plan, Returning, TabletResult, Watching, Working
from loadtests.tablets.returning import Return
from loadtests.tablets.watching import Crowd
from loadtests.tablets.working import Day


async def run_tablets(plan: Plan) -> TabletResult:
    """Run the plan on the running loop."""
    match plan:
        case Working():
            return await Day(plan).run()
        case Watching():
            return await Crowd(plan).run()
        case Returning():
            return await Return(plan).run()
        case Idling():
            return await Idle(plan).run()


def main() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # a run is short, and a collection over thousands of tablets would show in the latencies
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    result = uvloop.run(run_tablets(plan))
    print(msgspec.json.encode(result).decode(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
