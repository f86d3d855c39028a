"""Tokens over HTTP: for guests, and the public keys for whoever verifies."""

from http import HTTPStatus

import msgspec

from serve.auth.schemas import GuestToken, Jwks
from serve.platform.call import Answer, Call, json_answer
from serve.platform.routing import public_router

router = public_router("/auth", "auth")


class _Guest(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int
    subject: str


@router.post("/guest", status_code=201, response_model=GuestToken)
async def create_guest(call: Call) -> Answer:
    """A token for somebody without a login, to fill a cart with."""
    token, subject, seconds = call.runtime.tokens.issue_guest()
    return json_answer(_Guest(token, "Bearer", seconds, subject), HTTPStatus.CREATED)


@router.get("/jwks.json", response_model=Jwks)
async def get_jwks(call: Call) -> Answer:
    """The public keys of access tokens (RFC 7517)."""
    return json_answer(call.runtime.tokens.jwks())
