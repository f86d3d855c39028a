"""Data keys under a key management service: its key leaves it never, and it may be away once they are known."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.outgoing.breaker import Breakers
from services.outgoing.errors import CircuitOpenError
from services.outgoing.limits import OutgoingLimits
from storage.data_keys import open_key_ring, read_data_keys
from storage.key_changes import make_current_key, rewrap_data_keys
from storage.key_files import new_key_text
from storage.key_management import key_service
from storage.key_refresh import refresh_forever
from storage.key_wrapping import EncryptionKeyError, KeyServiceAwayError, local_wrapper
from storage.settings import Settings
from storage.transit import TransitWrapper
from tests.storage.key_service import TOKEN, KeyService, certificate, serving


@pytest.fixture
def service() -> Iterator[KeyService]:
    with serving() as one:
        yield one


def wrapper_of(service: KeyService, key: str = "atrium", token: str = TOKEN) -> TransitWrapper:
    return TransitWrapper(service.url, key, lambda: token)


async def test_a_key_comes_back_in_its_own_place_only(service: KeyService) -> None:
    wrapper = wrapper_of(service)
    wrapped = await wrapper.wrap(b"k" * 32, b"data key 1")
    assert wrapped.startswith(b"vault:v1:")
    assert await wrapper.unwrap(wrapped, b"data key 1") == b"k" * 32
    with pytest.raises(EncryptionKeyError, match="another's place"):
        await wrapper.unwrap(wrapped, b"data key 2")
    assert service.asked == ["/v1/transit/encrypt/atrium", *["/v1/transit/decrypt/atrium"] * 2]


async def test_the_services_own_key_may_be_rotated_at_any_time(service: KeyService) -> None:
    wrapper = wrapper_of(service)
    old = await wrapper.wrap(b"k", b"")
    service.rotate()
    assert (await wrapper.wrap(b"k", b"")).startswith(b"vault:v2:")
    assert await wrapper.unwrap(old, b"") == b"k"


@pytest.mark.parametrize("damaged", [b"", b"vault:v1:AAAA", b"vault:v9:AAAA", b"\xff\x00", b"local bytes of before"])
async def test_what_it_did_not_wrap_is_refused(service: KeyService, damaged: bytes) -> None:
    with pytest.raises(EncryptionKeyError):
        await wrapper_of(service).unwrap(damaged, b"")


async def test_a_wrong_token_or_key_is_told_apart_from_a_service_that_is_away(service: KeyService) -> None:
    for wrapper, said in (
        (wrapper_of(service, token="s.other"), "permission denied"),
        (wrapper_of(service, key="other"), "404"),
        (wrapper_of(service, token=""), "no token"),
        (wrapper_of(service, token="a\nb"), "no token"),
    ):
        with pytest.raises(EncryptionKeyError, match=said):
            await wrapper.wrap(b"k", b"")
    for status in (429, 500, 503):
        service.status = status
        with pytest.raises(KeyServiceAwayError, match=f"{status} Vault is sealed"):
            await wrapper_of(service).wrap(b"k", b"")
    service.status = 200  # something that answers, and is none
    with pytest.raises(EncryptionKeyError, match="did not answer"):
        await wrapper_of(service).wrap(b"k", b"")
    with pytest.raises(KeyServiceAwayError, match="cannot be reached"):
        await TransitWrapper("http://127.0.0.1:9", "atrium", lambda: TOKEN).wrap(b"k", b"")


@pytest.mark.parametrize(
    ("status", "error"), [(200, EncryptionKeyError), (400, EncryptionKeyError), (503, KeyServiceAwayError)]
)
async def test_of_an_answer_that_never_ends_only_the_beginning_is_read(
    service: KeyService, status: int, error: type[Exception]
) -> None:
    service.endless, service.status = 0.0, status
    with pytest.raises(error):
        await wrapper_of(service).wrap(b"k", b"")
    assert service.sent_bytes < 16 * 1_048_576  # what the sockets took in between


async def test_an_answer_that_comes_a_byte_at_a_time_is_none(service: KeyService) -> None:
    service.endless = 0.05
    began = time.monotonic()
    with pytest.raises(KeyServiceAwayError, match="TimeoutError"):
        await TransitWrapper(service.url, "atrium", lambda: TOKEN, timeout_s=0.3).wrap(b"k", b"")
    assert time.monotonic() - began < 3


async def test_its_certificate_is_checked(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    with serving(tls=file) as service:
        trusting = TransitWrapper(service.url, "atrium", lambda: TOKEN, ca_file=file)
        assert await trusting.unwrap(await trusting.wrap(b"k", b""), b"") == b"k"
        with pytest.raises(KeyServiceAwayError):
            await wrapper_of(service).wrap(b"k", b"")
        with pytest.raises(EncryptionKeyError, match="certificates"):
            await TransitWrapper(service.url, "atrium", lambda: TOKEN, ca_file=tmp_path / "none").wrap(b"k", b"")


async def test_the_token_of_a_file_is_read_at_each_call(service: KeyService, tmp_path: Path) -> None:
    file = tmp_path / "token"
    wrapper = key_service(Settings(kms_url=service.url, kms_token_file=file))
    assert wrapper is not None
    with pytest.raises(EncryptionKeyError, match="token"):
        await wrapper.wrap(b"k", b"")
    file.write_text(f"{TOKEN}\n")
    assert await wrapper.wrap(b"k", b"")


async def test_a_breaker_leaves_a_service_alone_that_keeps_failing(service: KeyService) -> None:
    breakers = Breakers(OutgoingLimits(failures_to_open=2))
    service.status = 503
    wrapper = TransitWrapper(service.url, "atrium", lambda: TOKEN, guard=breakers.guard)
    for _ in range(2):
        with pytest.raises(KeyServiceAwayError):
            await wrapper.wrap(b"k", b"")
    with pytest.raises(CircuitOpenError):
        await wrapper.wrap(b"k", b"")
    assert len(service.asked) == 2


def test_only_https_is_spoken_but_to_this_machine_and_the_token_stays_in_its_process() -> None:
    for url in ("http://vault.example:8200", "ftp://vault.example", "vault.example"):
        with pytest.raises(ValidationError):
            Settings(kms_url=url)
    settings = Settings(kms_url="https://vault.example:8200", kms_token=SecretStr(TOKEN))
    assert settings.__getstate__()["__dict__"]["kms_token"] is None
    assert key_service(Settings()) is None


@pytest.mark.stack
async def test_an_installation_starts_seals_rotates_and_goes_on_while_the_service_is_away(
    database_url: str, service: KeyService
) -> None:
    wrapper = wrapper_of(service)
    running = await open_key_ring(database_url, None, None, wrapper)
    (stored,) = await read_data_keys(database_url)
    assert stored.wrapper == "transit:atrium"
    sealed = running.seal(b"plain", b"here")
    assert await make_current_key(database_url, wrapper, 2)
    assert not await make_current_key(database_url, wrapper, 2)

    service.status = 503
    calls = 0

    async def pause(_: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            service.status = 0
        if calls == 3:
            raise asyncio.CancelledError

    with pytest.raises(KeyServiceAwayError):
        await open_key_ring(database_url, None, None, wrapper)  # no start without it
    assert running.open(sealed, b"here") == b"plain"
    assert running.open(running.seal(b"more", b""), b"") == b"more"
    with pytest.raises(asyncio.CancelledError):
        await refresh_forever(running, 1.0, pause)
    assert running.current == 2  # once it was back


@pytest.mark.stack
async def test_data_keys_move_between_a_local_key_and_the_service(database_url: str, service: KeyService) -> None:
    setting = SecretStr(new_key_text())
    local, wrapper = local_wrapper(None, setting, create=False), wrapper_of(service)
    sealed = (await open_key_ring(database_url, None, setting)).seal(b"plain", b"")
    with pytest.raises(EncryptionKeyError, match="ATRIUM_KMS_URL"):
        await open_key_ring(database_url, None, None, wrapper)
    assert await rewrap_data_keys(database_url, local, wrapper) == 1
    assert (await open_key_ring(database_url, None, None, wrapper)).open(sealed, b"") == b"plain"
    assert await rewrap_data_keys(database_url, wrapper, local) == 1
    assert (await open_key_ring(database_url, None, setting)).open(sealed, b"") == b"plain"
