import pytest

from storage.db import Database


@pytest.fixture
async def database(database_url):
    one = Database(database_url)
    yield one
    await one.close()
