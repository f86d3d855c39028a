"""For which domain passkeys are made, and from which pages they are used."""

from typing import Final
from urllib.parse import urlsplit

import msgspec

from storage.settings import Settings

ISSUER: Final = "Atrium"
"""What authenticator apps and password managers call this installation."""


class RelyingParty(msgspec.Struct, frozen=True):
    """`id` is a domain; `origins` (`https://shop.example`) are of it or below it: browsers see to that."""

    id: str = "localhost"
    origins: tuple[str, ...] = ("http://localhost:8000",)
    name: str = ISSUER


def relying_party_of(settings: Settings) -> RelyingParty:
    """What is not set follows from the web application's address; without that, it is this machine."""
    page = urlsplit(settings.app_url or f"http://localhost:{settings.port}")
    named = tuple(part.strip() for part in settings.passkey_origins.split(",") if part.strip())
    return RelyingParty(
        settings.passkey_domain or page.hostname or "localhost", named or (f"{page.scheme}://{page.netloc}",)
    )
