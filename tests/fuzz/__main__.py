"""Every operation of the API's document, asked what the document allows and what it does not: `make fuzz`.

Schemathesis makes the requests from the document (valid ones and ones that break it), a person of the access policy's
walk sends them to a whole gateway in this process, and the answer must be one that the document describes: no 5xx, a
known status, its media type, its schema. Where a path takes ids, half of the requests have ids of things that exist.
"""

import argparse
import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import hypothesis
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serve.app import openapi_document
from tests.serve.access.people import PEOPLE
from tests.serve.access.routes import PROBES
from tests.serve.access.world import World
from tests.serve.house import open_house

_PREFIX = "/api/v1"
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def operations() -> Iterator[tuple[str, Any]]:
    """`METHOD /path` and the operation, for all of the document."""
    for result in schemathesis.openapi.from_dict(openapi_document()).get_all_operations():
        operation = result.ok()
        yield f"{operation.method.upper()} {operation.path.removeprefix(_PREFIX)}", operation


async def opened(name: str, ready: asyncio.Future[tuple[World, Any]], done: asyncio.Event) -> None:
    async with open_house() as house:
        world = World(house)
        if name in PROBES:
            await world.make(*PROBES[name].needs)
        transport = httpx.ASGITransport(house.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://atrium.test") as http:
            ready.set_result((world, http))
            await done.wait()


def fuzz(
    name: str, operation: Any, examples: int, seed: int, loop: asyncio.AbstractEventLoop, seen: Counter[int]
) -> str:
    """Why the operation failed, "" if it did not. Statuses are counted in `seen`."""
    ready, done = loop.create_future(), asyncio.Event()
    keeper = loop.create_task(opened(name, ready, done))
    loop.run_until_complete(asyncio.wait({keeper, ready}, return_when=asyncio.FIRST_COMPLETED))
    if not ready.done():
        return repr(keeper.exception())
    world, http = ready.result()
    everybody = st.sampled_from((*PEOPLE[1:], PEOPLE[0]))  # the first is drawn most
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in _MODES))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=cases, person=everybody, there=st.booleans())
    def ask(case: Any, person: Any, there: bool) -> None:
        if there and case.path_parameters:
            case.path_parameters = {each: world.ids.get(each, value) for each, value in case.path_parameters.items()}
        wanted = case.as_transport_kwargs(base_url="http://atrium.test")
        made = {key: value for key, value in wanted.pop("headers", {}).items() if key.lower() != "authorization"}
        headers = {**made, **person.headers(world.house)}
        fields = {key: wanted[key] for key in ("method", "url", "params", "json", "content") if key in wanted}
        if wanted.get("data") is not None:
            fields["data" if isinstance(wanted["data"], dict) else "content"] = wanted["data"]
        try:
            request = http.build_request(headers=headers, **fields)
        except (httpx.InvalidURL, ValueError, UnicodeError):
            return  # no client could send this
        answer = loop.run_until_complete(http.send(request))
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=_CHECKS)

    try:
        ask()
    except BaseExceptionGroup as group:
        return "\n".join(str(each) for each in group.exceptions)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        done.set()
        loop.run_until_complete(keeper)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", help="operations that contain one of these; default: all")
    parser.add_argument("--examples", type=int, default=50, help="requests per operation (default 50)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    loop, failed, count = asyncio.new_event_loop(), 0, 0
    seen: Counter[int] = Counter()
    for name, operation in operations():
        if options.names and not any(part in name for part in options.names):
            continue
        count += 1
        reason = fuzz(name, operation, options.examples, options.seed, loop, seen)
        failed += bool(reason)
        if reason:
            sys.stdout.write(f"FAILED {name}\n{reason}\n\n")
    loop.close()
    answers = ", ".join(f"{times} x {status}" for status, times in sorted(seen.items()))
    sys.stdout.write(f"{count} operations, {options.examples} requests each, seed {options.seed}: {failed} failed\n")
    sys.stdout.write(f"{answers}\n")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
