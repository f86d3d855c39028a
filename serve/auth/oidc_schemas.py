"""Bodies and documentation of logins by other providers."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serve.platform.schemas import Body, Moment, UuidText
from services.accounts.limits import DEFAULTS
from services.oidc.flows import CHALLENGE_PATTERN, RETURN_TO_CHARACTERS_MAX, VERIFIER_PATTERN

_ANSWER_CHARACTERS_MAX: Final = 4_096
_CODE_CHARACTERS_MAX: Final = 4_096
_CODE_EXAMPLE: Final = "AQAAAAG2mVd0yq"
_VERIFIER_EXAMPLE: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

_Answer = Annotated[str, StringConstraints(max_length=_ANSWER_CHARACTERS_MAX)]


class StartQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    challenge: str = Field(
        pattern=CHALLENGE_PATTERN,
        description="base64url of the SHA-256 of a random verifier that the page keeps (RFC 7636).",
        examples=["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
    )
    return_to: str = Field(
        "",
        max_length=RETURN_TO_CHARACTERS_MAX,
        description="A page of the application; it gets `#code=…` or `#error=…`. Left out: the callback answers.",
        examples=["https://shop.example/logged-in"],
    )
    fresh: bool = Field(
        False, description="They must prove themselves to the provider now, whether or not it knows them already."
    )


class CallbackQuery(BaseModel):
    """What a provider sends. Whatever else it says is left alone."""

    model_config = ConfigDict(extra="ignore")

    state: _Answer = ""
    code: _Answer = ""
    iss: _Answer = ""
    error: _Answer = ""


CALLBACK_FORM: Final = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        name: {"type": "string", "maxLength": _ANSWER_CHARACTERS_MAX}
                        for name in CallbackQuery.model_fields
                    },
                }
            }
        }
    }
}


class Provider(BaseModel):
    name: str = Field(examples=["example"])
    label: str = Field(examples=["Example"])


class Providers(BaseModel):
    items: list[Provider]


class Code(BaseModel):
    """For `POST /auth/oidc/exchange`, or for `POST /auth/identities`."""

    code: str
    expires_in: int = Field(description="Seconds.")


class Redeem(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"code": _CODE_EXAMPLE, "verifier": _VERIFIER_EXAMPLE}]})

    code: Annotated[str, StringConstraints(min_length=1, max_length=_CODE_CHARACTERS_MAX)]
    verifier: str = Field(pattern=VERIFIER_PATTERN, description="What the challenge was made from.")


class Exchange(Redeem):
    device: str = Field("", max_length=DEFAULTS.device_characters_max)
    organization_id: UuidText | None = Field(None, description="Act for this organization; left out: for oneself.")
    cookie: bool = Field(
        default=False, description="For a page in a browser: the tokens come in cookies that no script can read."
    )


class Identity(BaseModel):
    id: str
    provider: str
    linked_at: Moment
    last_used_at: Moment | None = None


class Identities(BaseModel):
    items: list[Identity]
