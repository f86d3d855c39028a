"""Bodies and documentation of second factors and passkeys."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from serve.auth.schemas import Password, SecretText
from serve.platform.schemas import Body, Moment, UuidText
from services.accounts.limits import DEFAULTS
from services.accounts.people import REASON_CHARACTERS_MAX

_CHALLENGE_EXAMPLE = "kq3vYw1X7m0dB5m2u4Zt9cS8aF6hJ1rPzQeLxVnTgIo"
_CODES_EXAMPLE = ["7k2m-9xqp-4c0z-h3vb"]
_WORDS_MAX = 32

Code = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    Field(
        examples=["492039"],
        description="Of an authenticator app, or a recovery code. Blanks and hyphens do not matter.",
    ),
]
FactorName = Annotated[
    str,
    StringConstraints(max_length=DEFAULTS.device_characters_max),
    Field(examples=["Phone"], description="What its owner calls it; shown in the list."),
]


def _coded(characters_max: int, alias: str) -> Any:
    return Field(alias=alias, min_length=1, max_length=characters_max, description="Base64url.")


_BY_COOKIE: Any = Field(default=False, description="Of a login: as `cookie` of `/auth/login`.")


class _FromBrowser(Body):
    """As browsers' `toJSON()` makes it (WebAuthn, level 3). What is not needed here is taken all the same."""


class RegistrationResponse(_FromBrowser):
    client_data_json: str = _coded(4_096, "clientDataJSON")
    attestation_object: str = _coded(32_768, "attestationObject")
    transports: list[Annotated[str, StringConstraints(max_length=_WORDS_MAX)]] | None = Field(None, max_length=10)
    authenticator_data: str | None = Field(None, alias="authenticatorData", max_length=8_192)
    public_key: str | None = Field(None, alias="publicKey", max_length=8_192)
    public_key_algorithm: int | None = Field(None, alias="publicKeyAlgorithm")


class AuthenticationResponse(_FromBrowser):
    client_data_json: str = _coded(4_096, "clientDataJSON")
    authenticator_data: str = _coded(4_096, "authenticatorData")
    signature: str = _coded(2_048, "signature")
    user_handle: str = _coded(128, "userHandle")
    attestation_object: str | None = Field(None, alias="attestationObject", max_length=32_768)


class _Credential(_FromBrowser):
    id: str = _coded(1_400, "id")
    raw_id: str = _coded(1_400, "rawId")
    type: Literal["public-key"]
    attachment: Literal["platform", "cross-platform"] | None = Field(None, alias="authenticatorAttachment")
    extensions: dict[str, Any] | None = Field(None, alias="clientExtensionResults")

    def as_json(self) -> dict[str, Any]:
        """As the browser said it."""
        return self.model_dump(by_alias=True, exclude_none=True)


class NewCredential(_Credential):
    """What `navigator.credentials.create()` gave: `RegistrationResponseJSON` of WebAuthn."""

    response: RegistrationResponse


class UsedCredential(_Credential):
    """What `navigator.credentials.get()` gave: `AuthenticationResponseJSON` of WebAuthn."""

    response: AuthenticationResponse


class Enroll(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Phone"}]})

    name: FactorName = ""


class VerifyFactor(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"challenge": _CHALLENGE_EXAMPLE, "code": "492039"}]})

    challenge: SecretText = Field(description="Of the login, or of the enrolment.")
    code: Code
    cookie: bool = _BY_COOKIE


def _example(**response: str) -> ConfigDict:
    """A body with a credential as browsers write it, shortened."""
    credential: dict[str, Any] = {
        "id": "AZ4Sm7cVqkyf",
        "rawId": "AZ4Sm7cVqkyf",
        "type": "public-key",
        "response": response,
    }
    return ConfigDict(json_schema_extra={"examples": [{"credential": credential}]})


class RegisterPasskey(Body):
    model_config = _example(clientDataJSON="eyJ0eXBlIjoid2Vi", attestationObject="o2NmbXRkbm9uZQ")

    credential: NewCredential
    name: FactorName = ""


class PasskeyLogin(Body):
    model_config = _example(
        clientDataJSON="eyJ0eXBlIjoid2Vi",
        authenticatorData="SZYN5YgOjGh0NBcP",
        signature="MEUCIQDmJr5tkTVQ",
        userHandle="AZLwwX1ufDqaVQ",
    )

    credential: UsedCredential
    device: str = Field(
        "", max_length=DEFAULTS.device_characters_max, description="What its owner calls it; shown in the list."
    )
    organization_id: UuidText | None = Field(None, description="Act for this organization; left out: for oneself.")
    cookie: bool = _BY_COOKIE


class Reauthenticate(Body):
    """By password, with a code if there are second factors; or by a passkey."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "umbrella walnut 7 trombone"}]})

    password: Password | None = None
    code: Code | None = None
    passkey: UsedCredential | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Reauthenticate":
        if (self.password is None) == (self.passkey is None) or (self.code and self.passkey):
            raise ValueError("Either `password`, with `code` if there are second factors, or `passkey`.")
        return self


class ResetFactors(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Phone lost; identity shown at the desk."}]})

    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_MAX, pattern=r"\S")


class EnrolmentBegun(BaseModel):
    challenge: str = Field(description="For `/auth/mfa/verify`, with the first code.", examples=[_CHALLENGE_EXAMPLE])
    secret: str = Field(description="Base32, for who cannot scan.")
    otpauth_uri: str = Field(
        description="What authenticator apps read from a QR code.",
        examples=["otpauth://totp/Atrium:ada%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Atrium"],
    )
    expires_in: int = Field(description="Seconds.")


class RecoveryCodes(BaseModel):
    recovery_codes: list[str] = Field(
        description="Each is good once, in place of a factor. They are shown this once.", examples=[_CODES_EXAMPLE]
    )


class FactorConfirmed(BaseModel):
    """An enrolment's answer. Who had recovery codes already keeps them and gets no others."""

    confirmed: Literal[True]
    recovery_codes: list[str] | None = Field(None, examples=[_CODES_EXAMPLE])


class Factor(BaseModel):
    id: str
    kind: Literal["totp", "passkey"]
    name: str
    created_at: Moment
    last_used_at: Moment | None = None
    backed_up: bool | None = Field(None, description="Kept by a password manager, on other devices too.")


class Factors(BaseModel):
    items: list[Factor]
    recovery_codes_left: int


class PasskeyRegistered(BaseModel):
    id: str
    name: str
    recovery_codes: list[str] | None = Field(None, examples=[_CODES_EXAMPLE])


class FactorsReset(BaseModel):
    removed: int
