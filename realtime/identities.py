"""Who is at a socket: the token of a hello, or a fresh one on the live socket, and for how long it holds."""

import msgspec

from domain.errors import AtriumError, Temporary, Unauthenticated
from realtime import codes
from realtime.connection import Connection
from realtime.ports import Credentials, Identity
from realtime.services import Services


async def identify(services: Services, presented: Credentials, token: str, connection: Connection) -> Identity | None:
    """None: the connection has been shut, with the close code that says why."""
    try:
        identity = await services.authenticator.authenticate(msgspec.structs.replace(presented, token=token))
    except Unauthenticated as error:
        expired = error.failure.code in {"token_expired", "token_outdated"}
        connection.shut(codes.TOKEN_EXPIRED if expired else codes.TOKEN_INVALID, error.failure.code)
        return None
    except Temporary:
        connection.shut(codes.SHUTDOWN, "the token cannot be checked now")
        return None
    except AtriumError as error:
        connection.shut(codes.TOKEN_INVALID, error.failure.code)
        return None
    if identity.expires_ms is not None and identity.expires_ms <= services.wall():
        connection.shut(codes.TOKEN_EXPIRED, "token_expired")
        return None
    return identity


def ttl_seconds(identity: Identity, wall_ms: int) -> int | None:
    """Rounded up; None for one that does not run out."""
    return None if identity.expires_ms is None else -((wall_ms - identity.expires_ms) // 1000)
