"""The Python client keeps to the protocol, by the vectors of `client/`."""

import pytest

from tests.protocol.client_runner import ClientRun
from tests.protocol.drivers import LiveClientDriver
from tests.protocol.vectors import Encoding, client_vectors

VECTORS = client_vectors()
RUNS = [(name, encoding) for name, vector in VECTORS.items() for encoding in vector.encodings]


@pytest.mark.parametrize(("name", "encoding"), RUNS)
async def test_the_python_client_fits(name: str, encoding: Encoding) -> None:
    await ClientRun(VECTORS[name], LiveClientDriver(), encoding).play()
