"""One whole installation for all tests of this folder: a real `atrium up` on a temporary data folder."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from loadtests.stack import Stack
from tests.integration.town import Town


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def stack() -> AsyncIterator[Stack]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ATRIUM_TRACE_FILE", "true")
        environment.setenv("ATRIUM_TRACE_RATIO", "0")  # only what a test asks for
        async with Stack() as stack:
            yield stack


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def town(stack: Stack) -> AsyncIterator[Town]:
    town = Town(stack)
    await town.settle()
    yield town
    await town.http.aclose()
