"""Passkeys (WebAuthn): registering one, and proving by one who somebody is.

A challenge is used once, and soon. The device must have verified the person (by a fingerprint, a PIN), so a passkey is
two factors at once. A count of signatures that does not rise was made by a copy, and is refused.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from actors.runtime.entity import Actor
from domain.errors import Conflict, Invalid, Unauthenticated, invalid_field
from domain.ids import new_id
from domain.text import check_text
from domain.times import SECOND_MS
from services.accounts.enrolment import Enrolments, hashes_of
from services.accounts.factor_codes import new_recovery_codes
from services.accounts.factors import SecondFactors
from services.accounts.limits import AccountLimits
from services.accounts.proving import check_active
from services.accounts.relying_party import RelyingParty
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from services.tokens import MFA
from storage.accounts.factor_records import ChallengeRecord, PasskeyRecord, Purpose
from storage.accounts.records import UserRecord, UserStatus
from storage.accounts.secret_tokens import new_token

BY_PASSKEY: Final = ("pop", MFA)
"""How somebody has proved themselves by a passkey (RFC 8176): by a key, and to the device that has it."""

_TRANSPORTS: Final = frozenset(one.value for one in AuthenticatorTransport)
_log = structlog.get_logger("services.accounts")

T = TypeVar("T")


class Passkeys:
    def __init__(
        self,
        stores: AccountStores,
        factors: SecondFactors,
        enrolments: Enrolments,
        audit: Audit,
        clock: Clock,
        limits: AccountLimits,
        party: RelyingParty,
    ) -> None:
        self._stores = stores
        self._store = stores.factors
        self._factors = factors
        self._enrolments = enrolments
        self._audit = audit
        self._clock = clock
        self._limits = limits
        self._party = party

    async def registration_options(self, user_id: str) -> dict[str, Any]:
        """`PublicKeyCredentialCreationOptionsJSON` of WebAuthn. Raises `Forbidden` with code `account_required`."""
        user = await self._enrolments.user(user_id)
        kept = await self._store.passkeys(user.id)
        options = generate_registration_options(
            rp_id=self._party.id,
            rp_name=self._party.name,
            user_id=UUID(user.id).bytes,
            user_name=user.email,
            user_display_name=user.name or user.email,
            challenge=await self._challenge("passkey_registration", user.id),
            timeout=self._limits.challenge_ttl_seconds * SECOND_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(
                    id=one.credential_id, transports=[AuthenticatorTransport(name) for name in one.transports]
                )
                for one in kept
            ],
        )
        return options_to_json_dict(options)

    async def register(
        self, user_id: str, credential: dict[str, Any], name: str = ""
    ) -> tuple[PasskeyRecord, tuple[str, ...]]:
        """A new passkey, by a device's answer to the options; recovery codes for who had none, shown this once.

        Raises `Forbidden`, `Invalid` (`wrong_passkey`), `Conflict` (`passkey_taken`, `passkeys_max`).
        """
        check_text(name, "name", length_max=self._limits.device_characters_max)
        user = await self._enrolments.user(user_id)
        try:
            challenge, token = await self._answered(credential, "passkey_registration")
        except Unauthenticated:
            raise _wrong_passkey() from None
        if challenge.user_id != user.id:
            raise _wrong_passkey()
        verified = _checked(
            "passkey_not_registered",
            lambda: verify_registration_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(token),
                expected_rp_id=self._party.id,
                expected_origin=list(self._party.origins),
                require_user_verification=True,
            ),
        )
        if verified is None:
            raise _wrong_passkey()
        passkey = PasskeyRecord(
            id=new_id(),
            credential_id=verified.credential_id,
            user_id=user.id,
            name=name,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            created_at_ms=self._clock.now_ms(),
            transports=_transports(credential),
            backed_up=verified.credential_backed_up,
        )
        codes = new_recovery_codes(self._limits.recovery_codes)
        hashes = hashes_of(user.id, codes)
        added = await self._store.add_passkey(passkey, count_max=self._limits.passkeys_max, hashes=hashes)
        if added.refused == "full":
            limit = self._limits.passkeys_max
            raise Conflict("Remove a passkey first.", code="passkeys_max", extra={"limit": limit})
        if added.refused:
            raise Conflict("This passkey is registered already.", code="passkey_taken")
        await self._enrolments.told(user, passkey.id)
        return passkey, codes if added.codes else ()

    async def login_options(self) -> dict[str, Any]:
        """`PublicKeyCredentialRequestOptionsJSON`, for whoever has a passkey of this installation."""
        options = generate_authentication_options(
            rp_id=self._party.id,
            challenge=await self._challenge("passkey_login", ""),
            timeout=self._limits.challenge_ttl_seconds * SECOND_MS,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(options)

    async def prove(self, credential: dict[str, Any]) -> UserRecord:
        """The active person whose passkey has answered the options.

        Raises `Unauthenticated` (`challenge_spent`, `passkey_refused`), `Forbidden` as a password's login.
        """
        _, token = await self._answered(credential, "passkey_login")
        passkey = await self._named(credential)
        if passkey is None:
            raise _refused()
        verified = _checked(
            "passkey_refused",
            lambda: verify_authentication_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(token),
                expected_rp_id=self._party.id,
                expected_origin=list(self._party.origins),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,  # compared below, in the statement that keeps it
                require_user_verification=True,
            ),
        )
        if verified is None:
            raise _refused()
        if not await self._store.use_passkey(passkey.credential_id, verified.new_sign_count, self._clock.now_ms()):
            await self._audit.note(
                Actor(passkey.user_id), "passkey_used", "factor", passkey.id, outcome="sign_count_regressed"
            )
            raise _refused()
        user = await self._stores.users.user(passkey.user_id)
        if user is None or user.status is UserStatus.DELETED:
            raise _refused()
        return check_active(user)

    async def prove_again(self, user_id: str, credential: dict[str, Any]) -> UserRecord:
        """Of somebody who is logged in. Raises `Invalid` (`wrong_passkey`), `Forbidden`."""
        try:
            user = await self.prove(credential)
        except Unauthenticated:
            raise _wrong_passkey() from None
        if user.id != user_id:
            raise _wrong_passkey()
        return user

    async def _challenge(self, purpose: Purpose, user_id: str) -> bytes:
        token = new_token()
        await self._factors.challenge(purpose, user_id, self._limits.challenge_ttl_seconds, token=token)
        return base64url_to_bytes(token)

    async def _answered(self, credential: dict[str, Any], purpose: Purpose) -> tuple[ChallengeRecord, str]:
        """The challenge that the device has signed. It is used up, whatever the signature is worth."""
        signed = _checked("passkey_unreadable", lambda: _signed_challenge(credential))
        if signed is None:
            raise _refused()
        challenge = await self._factors.challenged(signed, purpose)
        await self._factors.spend(challenge)
        return challenge, signed

    async def _named(self, credential: dict[str, Any]) -> PasskeyRecord | None:
        """The passkey that this says to be of, if the device names the same person."""
        found = _checked("passkey_unreadable", lambda: _identifiers(credential))
        passkey = None if found is None else await self._store.passkey(found[0])
        if found is None or passkey is None or found[1] != UUID(passkey.user_id).bytes:
            return None
        return passkey


def _signed_challenge(credential: dict[str, Any]) -> str:
    client_data = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    return bytes_to_base64url(client_data.challenge)


def _identifiers(credential: dict[str, Any]) -> tuple[bytes, bytes]:
    return base64url_to_bytes(credential["rawId"]), base64url_to_bytes(credential["response"]["userHandle"])


def _transports(credential: dict[str, Any]) -> tuple[str, ...]:
    named = credential["response"].get("transports") or ()
    return tuple(sorted({name for name in named if isinstance(name, str)} & _TRANSPORTS))


def _checked(event: str, work: Callable[[], T]) -> T | None:
    """None for whatever somebody has made up: its parsers raise more than they say."""
    try:
        return work()
    except Exception as error:
        _log.info(event, error=type(error).__name__)
        return None


def _refused() -> Unauthenticated:
    return Unauthenticated("This passkey is not known here, or its answer does not hold.", code="passkey_refused")


def _wrong_passkey() -> Invalid:
    return invalid_field("credential", "wrong_passkey", "This is no answer of a passkey of yours to a question of now.")
