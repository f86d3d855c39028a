"""The server keeps to the protocol, by the vectors of `server/`."""

import pytest

from tests.protocol.inprocess import in_process
from tests.protocol.server_runner import ServerRun
from tests.protocol.vectors import Encoding, server_vectors

VECTORS = server_vectors()
RUNS = [(name, encoding) for name, vector in VECTORS.items() for encoding in vector.encodings]


@pytest.mark.parametrize(("name", "encoding"), RUNS)
async def test_the_server_fits(name: str, encoding: Encoding) -> None:
    async with in_process() as server:
        await ServerRun(VECTORS[name], server, encoding).play()
