"""Whether a key management service holds the key-encryption key, and which (`storage/transit.py`)."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from pydantic import SecretStr

from storage.key_wrapping import KeyWrapper
from storage.settings import Settings

Guard = Callable[[str], AbstractAsyncContextManager[object]]
"""Put around each call, with the host's name: a circuit breaker. An exception within is a failure of the host."""


def key_service(settings: Settings, guard: Guard = nullcontext) -> KeyWrapper | None:
    """The service that the settings name; None: there is none. The token is that of this very process's settings."""
    if settings.kms_url is None:
        return None
    from storage.transit import TransitWrapper  # noqa: PLC0415 - most installations have none, and need no HTTP for it

    given, file = settings.kms_token, settings.kms_token_file
    return TransitWrapper(
        settings.kms_url, settings.kms_key, lambda: _token(given, file), ca_file=settings.kms_ca_file, guard=guard
    )


def _token(given: SecretStr | None, file: Path | None) -> str:
    if given is not None:
        return given.get_secret_value()
    return "" if file is None else file.read_text()
