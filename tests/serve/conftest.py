from collections.abc import AsyncIterator

import pytest

from tests.serve.house import House, open_house
from tests.serve.sockets import Tablets, live_clinic
from tests.serve.test_rooms import Clinic
from tests.serve.ward import Ward


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with open_house() as opened:
        yield opened


@pytest.fixture
async def ward(house: House) -> Ward:
    return await Ward(await Clinic(house).open()).open()


@pytest.fixture
async def tablets(house: House) -> AsyncIterator[Tablets]:
    async with live_clinic(house) as (clinic, port):
        yield Tablets(clinic, port)
