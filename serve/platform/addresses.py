"""Which address a request comes from, as far as somebody says so whom this house trusts."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]

FORWARDED: Final = b"x-forwarded-for"
UNKNOWN: Final = "unknown"
_SITE_BITS: Final = 64
"""Of an IPv6 address: whoever has one has the whole /64."""
_HOPS_MAX: Final = 16


def networks_of(text: str) -> Networks:
    """Networks or addresses, separated by commas. Raises `ValueError`."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_address(scope: Scope, trusted: Networks) -> str:
    """The nearest address that is not a trusted proxy's; an IPv6 one as its /64.

    `X-Forwarded-For` counts only as far as trusted proxies wrote it: from the right, beginning at the peer itself.
    What a stranger puts into it is never reached. `UNKNOWN` without a peer.
    """
    peer = scope.get("client")
    address = str(peer[0]) if peer else ""
    if not _is_trusted(address, trusted):
        return _site(address)
    for hop in _forwarded(scope["headers"]):
        if _parsed(hop) is None:
            break
        address = hop
        if not _is_trusted(hop, trusted):
            break
    return _site(address)


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """From the nearest hop; several header lines are one list."""
    joined = b",".join(value for name, value in headers if name == FORWARDED)
    parts = joined.decode("latin-1").rsplit(",", _HOPS_MAX)[-_HOPS_MAX:]
    return [part.strip() for part in reversed(parts)]


@lru_cache(maxsize=8_192)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


@lru_cache(maxsize=8_192)
def _is_trusted(text: str, trusted: Networks) -> bool:
    address = _parsed(text)
    return address is not None and any(address in network for network in trusted)


@lru_cache(maxsize=8_192)
def _site(text: str) -> str:
    address = _parsed(text)
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> _SITE_BITS << _SITE_BITS, _SITE_BITS)))
    return str(address)
