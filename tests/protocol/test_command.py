"""`python -m tests.protocol`: against a server over real sockets, and a client in a process of its own."""

import sys

import pytest

from tests.protocol.__main__ import check_client, check_server, main
from tests.serve.clinic import CLINIC
from tests.serve.conftest import house as house  # noqa: PLC0414 - a fixture
from tests.serve.house import ALICE
from tests.serve.test_rooms import PIA, QUINN
from tests.serve.test_tablets import Practice
from tests.serve.test_tablets import practice as practice  # noqa: PLC0414 - a fixture


async def test_a_server_with_one_token_can_be_checked_and_with_more_names_more_of_it(practice: Practice) -> None:
    url, tokens = f"ws://127.0.0.1:{practice.port}", practice.clinic.house.tokens
    alone = {"token:alice": tokens.issue(ALICE, ("customer",))}
    little = await check_server(url, alone, "hello/")
    assert little.failed == {}
    assert little.ran > 20
    assert "hello/a connection too many is closed with 4504" in little.left_out
    world = {
        **alone,
        "token:pia": practice.token(PIA),
        "token:quinn": practice.token(QUINN),
        "subject:pia": PIA,
        "clinic": CLINIC,
        "location": practice.clinic.location,
    }
    more = await check_server(url, world, "documents/")
    assert (more.failed, more.ran) == ({}, 6)
    assert list(more.left_out.values()) == ["given:room"]


async def test_a_client_can_be_a_process() -> None:
    found = await check_client([sys.executable, "-m", "tests.protocol.python_driver"], "hello/a ping")
    assert (found.failed, found.ran) == ({}, 2)


async def test_what_does_not_fit_is_named() -> None:
    found = await check_client([sys.executable, "-c", "print('nonsense')"], "hello/a ping")
    assert set(found.failed) == {f"hello/a ping is answered with its number ({one})" for one in ("json", "msgpack")}


def test_a_server_or_a_client_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "--url" in capsys.readouterr().err
    assert main(["--url", "ws://127.0.0.1:1", "-k", "there is no such vector"]) == 1
