"""Bodies and documentation of tokens and logins."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.platform.schemas import Body, Moment, UuidText
from services.accounts.emails import EMAIL_CHARACTERS_MAX
from services.accounts.limits import DEFAULTS
from services.locations import NAME_LENGTH_MAX

_PASSWORD_EXAMPLE = "umbrella walnut 7 trombone"  # noqa: S105 - an example in the documentation
_OTHER_EXAMPLE = "granite teapot 9 meridian"
_TOKEN_EXAMPLE = "kq3vYw1X7m0dB5m2u4Zt9cS8aF6hJ1rPzQeLxVnTgIo"  # noqa: S105 - an example in the documentation
_TOKEN_CHARACTERS_MAX = 200


def _example(**fields: str) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [dict(fields)]})


Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=EMAIL_CHARACTERS_MAX),
    Field(examples=["ada@example.com"], description="ASCII; upper and lower case are the same."),
]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=1, max_length=DEFAULTS.password_characters_max),
    Field(
        examples=[_PASSWORD_EXAMPLE],
        description=f"{DEFAULTS.password_characters_min} characters or more, and not easy to guess.",
    ),
]
Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=DEFAULTS.password_characters_max),
    Field(examples=[_PASSWORD_EXAMPLE]),
]
SecretText = Annotated[str, StringConstraints(min_length=1, max_length=_TOKEN_CHARACTERS_MAX)]
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$"), Field(examples=["de-AT"])]
TimeZone = Annotated[
    str, StringConstraints(min_length=1, max_length=64), Field(description="IANA.", examples=["Europe/Berlin"])
]
PersonName = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_LENGTH_MAX, pattern=r"\S"), Field(examples=["Ada Lovelace"])
]


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


class Register(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "ada@example.com", "password": _PASSWORD_EXAMPLE, "name": "Ada Lovelace"}]
        }
    )

    email: Email
    password: NewPassword
    name: PersonName
    locale: Locale = "en"
    time_zone: TimeZone = "UTC"
    invitation: SecretText | None = Field(None, description="The token of an invitation to this address.")


class Login(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.com", "password": _PASSWORD_EXAMPLE, "device": "Phone"}]}
    )

    email: Email
    password: Password
    device: str = Field(
        "", max_length=DEFAULTS.device_characters_max, description="What its owner calls it; shown in the list."
    )
    organization_id: UuidText | None = Field(None, description="Act for this organization; left out: for oneself.")
    cookie: bool = Field(
        default=False, description="For a page in a browser: the tokens come in cookies that no script can read."
    )


class Refresh(Body):
    """Either `refresh_token`, or `cookie` and `X-CSRF-Token`; with both, the login moves into cookies."""

    model_config = _example(refresh_token=_TOKEN_EXAMPLE)

    refresh_token: SecretText | None = None
    cookie: bool = False
    organization_id: UuidText | Literal[""] | None = Field(
        None, description='Act for another organization from now on; "": for oneself. Left out: as before.'
    )


class Logout(Body):
    """Either `refresh_token`, or `cookie` and `X-CSRF-Token`."""

    model_config = _example(refresh_token=_TOKEN_EXAMPLE)

    refresh_token: SecretText | None = None
    cookie: bool = False


class ForgotPassword(Body):
    model_config = _example(email="ada@example.com")

    email: Email


class ResetPassword(Body):
    model_config = _example(token=_TOKEN_EXAMPLE, password=_PASSWORD_EXAMPLE)

    token: SecretText = Field(description="From the mail.")
    password: NewPassword


class ChangePassword(Body):
    model_config = _example(current_password=_OTHER_EXAMPLE, password=_PASSWORD_EXAMPLE)

    current_password: Password
    password: NewPassword


class VerifyEmail(Body):
    model_config = _example(token=_TOKEN_EXAMPLE)

    token: SecretText = Field(description="From the mail.")


class Accepted(BaseModel):
    """The same whether or not there is such an account."""

    accepted: bool


class Account(BaseModel):
    id: str
    email: str
    name: str
    status: Literal["pending", "active", "suspended", "deleted"]
    locale: str
    time_zone: str
    created_at: Moment
    verified_at: Moment | None = None


class AccessToken(BaseModel):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds.")
    subject: str
    roles: list[str]
    organizations: list[str] = Field(description="Where these roles hold; empty: for oneself.")


class LoggedIn(AccessToken):
    refresh_token: str = Field(description="Good once; the next answer has the next one.")
    session_id: str
    user: Account


class CookieLogin(BaseModel):
    """The tokens are in the cookies `__Host-atrium_access` and `__Host-atrium_refresh`."""

    csrf_token: str = Field(description="For `X-CSRF-Token`; also in the cookie `__Host-atrium_csrf`.")
    expires_in: int = Field(description="Seconds: refresh by then.")
    subject: str
    roles: list[str]
    organizations: list[str]
    session_id: str
    user: Account


class OwnMembership(BaseModel):
    """Of an active organization: log in or refresh with its id to act for it."""

    organization_id: str
    roles: list[str]
    name: str | None = Field(None, description="The organization's.")


class Session(BaseModel):
    """Who this access token speaks for. Guests have no `user`."""

    subject: str
    roles: list[str]
    organizations: list[str]
    expires_at: Moment
    authenticated_at: Moment | None = None
    amr: list[str] | None = Field(None, description="How: `pwd`, `otp`, `pop` (a passkey), `mfa`.")
    scopes: list[str] | None = Field(None, description="Of an API key: what it may be used for.")
    user: Account | None = None
    memberships: list[OwnMembership]


class LoginSession(BaseModel):
    id: str
    device: str
    organization_id: str | None = None
    authenticated_at: Moment
    last_used_at: Moment
    expires_at: Moment


class LoginSessions(BaseModel):
    items: list[LoginSession]


class Revoked(BaseModel):
    revoked: int
