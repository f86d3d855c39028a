"""Documentation of tokens."""

from pydantic import BaseModel, Field


class GuestToken(BaseModel):
    """Who has it is the guest: keep it until the cart is merged into an account."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds.")
    subject: str = Field(examples=["guest:0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"])


class JwksKey(BaseModel):
    kty: str
    use: str
    alg: str
    kid: str
    n: str
    e: str


class Jwks(BaseModel):
    keys: list[JwksKey]
