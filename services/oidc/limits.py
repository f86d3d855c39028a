"""Every bound and lifetime of logins by other providers: a name, a unit, a default."""

import msgspec


class OidcLimits(msgspec.Struct, frozen=True, kw_only=True):
    flow_ttl_seconds: int = 600
    """From the start of a login to the provider's answer."""
    code_ttl_seconds: int = 60
    """From that to the tokens."""
    leeway_seconds: int = 60
    """How far a provider's clock may be off."""
    id_token_age_seconds_max: int = 600
    id_token_bytes_max: int = 16_384
    metadata_ttl_seconds: int = 3_600
    keys_ttl_seconds: int = 3_600
    keys_refetch_seconds: int = 30
    """An unknown key makes us look for new ones, at most so often."""
    stale_seconds_max: int = 86_400
    """For so long what was fetched last holds while the provider cannot be reached."""
    keys_max: int = 50
    identities_max: int = 10
    """Of one person."""


DEFAULTS = OidcLimits()

assert DEFAULTS.keys_ttl_seconds <= DEFAULTS.stale_seconds_max  # noqa: S101 - stale is what outlived its time
