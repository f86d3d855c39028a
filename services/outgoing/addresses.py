"""Which addresses may be called: public ones, and the private networks that the installation names.

A name is looked up here, and the connection goes to the very address that was checked: what the name means a moment
later does not count (DNS rebinding).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import httpcore

from services.outgoing.errors import RefusedError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
LookUp = Callable[[str, int], Awaitable[Sequence[str]]]

_TUNNELS: Final = tuple(ip_network(each) for each in ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"))
"""IPv6 addresses with an IPv4 one inside (NAT64, Teredo, 6to4), which could be a private one."""


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks or addresses, separated by commas. Raises `ValueError`."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


class AddressRule:
    """`private`: networks that may be called although they are not public. `public` False: nothing but those."""

    def __init__(self, private: Iterable[Network] = (), *, public: bool = True) -> None:
        self._private = tuple(private)
        self._public = public

    def allows(self, text: str) -> bool:
        try:
            address = _plain(ip_address(text.partition("%")[0]))
        except ValueError:
            return False
        if any(address in network for network in self._private):
            return True
        return self._public and _is_public(address)


async def look_up(host: str, port: int) -> Sequence[str]:
    """Addresses of a host. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses only. Raises `RefusedError` when a name has any other address too."""

    def __init__(self, rule: AddressRule, lookup: LookUp = look_up) -> None:
        self._rule = rule
        self._lookup = lookup
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._lookup(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout("the name was not found in time") from None
        except OSError as error:
            raise httpcore.ConnectError(f"the name is not known: {type(error).__name__}") from None
        if not all(self._rule.allows(address) for address in addresses):
            raise RefusedError("this address may not be called")
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _is_public(address: Address) -> bool:
    if any(address in network for network in _TUNNELS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
