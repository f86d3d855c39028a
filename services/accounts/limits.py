"""Every bound and lifetime of accounts: a name, a unit, a default."""

import msgspec


class AccountLimits(msgspec.Struct, frozen=True, kw_only=True):
    password_characters_min: int = 10
    password_characters_max: int = 128
    password_score_min: int = 3
    """zxcvbn's estimate, 0 to 4: 3 is 10⁸ guesses and more."""
    refresh_ttl_seconds: int = 30 * 24 * 3_600
    """A login that is not used for so long has to be made again."""
    login_ttl_seconds: int = 90 * 24 * 3_600
    """A login ends after this however much it is used."""
    refresh_reuse_seconds: int = 10
    """For so long after its use a refresh token gives the same successor again: an answer may be lost."""
    verify_ttl_seconds: int = 24 * 3_600
    reset_ttl_seconds: int = 3_600
    mails_per_hour_max: int = 5
    """Mails with a token to one person."""
    invitation_ttl_seconds: int = 7 * 24 * 3_600
    invitations_per_hour_max: int = 50
    """By one organization; to one address at most `mails_per_hour_max` of them."""
    attempts_before_lock: int = 5
    """Attempts to log in by one address; the last of them locks it."""
    lock_seconds_first: int = 60
    """Doubled with each attempt after that."""
    lock_seconds_max: int = 3_600
    attempts_window_seconds: int = 24 * 3_600
    """After so long without an attempt, counting begins anew."""
    hashing_threads: int = 2
    hashing_waiting_max: int = 64
    """Passwords waiting to be hashed in one gateway; past it 503."""
    background_tasks_max: int = 1_000
    """Mails waiting to be sent by one gateway; past it they are dropped, and asked for again."""
    organizations_per_token_max: int = 50
    device_characters_max: int = 80
    position_ttl_seconds: int = 24 * 3_600
    """After so long a position that somebody gave is forgotten."""
    deletion_grace_seconds: int = 30 * 24 * 3_600
    """After so long a deleted account is erased; until then it can be reinstated."""
    search_words_max: int = 8
    search_characters_max: int = 200

    challenge_ttl_seconds: int = 300
    """For so long a login waits for its second factor, and a passkey's answer is taken."""
    enrolment_ttl_seconds: int = 600
    """For so long the first code of a new authenticator app is taken."""
    totp_drift_steps: int = 1
    """Steps of 30 s that an authenticator app's clock may be off, either way."""
    recovery_codes: int = 10
    passkeys_max: int = 20
    """Of one person."""
    step_up_seconds: int = 300
    """How long ago somebody may have proved who they are for what asks for a proof of now."""


DEFAULTS = AccountLimits()

assert DEFAULTS.refresh_ttl_seconds <= DEFAULTS.login_ttl_seconds  # noqa: S101 - a refresh cannot outlive its login
assert DEFAULTS.lock_seconds_first <= DEFAULTS.lock_seconds_max  # noqa: S101 - locks grow up to the longest


def lock_ms(count: int, limits: AccountLimits) -> int:
    """For how long the `count`-th attempt in a row locks: 60 s, 120 s, … up to an hour; 0 not at all."""
    beyond = count - limits.attempts_before_lock
    if beyond < 0:
        return 0
    return min(limits.lock_seconds_first << min(beyond, 32), limits.lock_seconds_max) * 1_000
