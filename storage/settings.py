"""All settings of an installation. Environment variables are `ATRIUM_` + the upper-case name.

`DATABASE_URL`, `REDIS_URL` and `RAY_ADDRESS` are read under their usual names too.
"""

from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.key_files import key_bytes
from storage.oidc_providers import providers_of

LogLevel = Literal["debug", "info", "warning", "error"]


def _usual(name: str) -> AliasChoices:
    return AliasChoices(f"ATRIUM_{name}", name)


class Settings(BaseSettings):
    """Immutable; make one with other values by `settings.model_copy(update={...})`."""

    model_config = SettingsConfigDict(
        env_prefix="ATRIUM_",
        frozen=True,
        extra="ignore",
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,  # it may be a URL with its password
    )

    data_dir: Path = Field(
        default=Path(".atrium"),
        description="Folder of the embedded Postgres and Redis, development keys and logs.",
    )
    backup_dir: Path | None = Field(
        default=None,
        description="Where `atrium backup` keeps backups of the embedded Postgres and its archived log; "
        "unset: the data folder's backups/. Another disk survives this one.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        validation_alias=_usual("DATABASE_URL"),
        description="postgresql://user:password@host:port/database of Postgres 15 or newer; "
        "unset: the embedded one in the data folder.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias=_usual("REDIS_URL"),
        description="redis://:password@host:port/0 or rediss://…; unset: the embedded one in the data folder.",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        description="base64 of 32 random bytes: the key that wraps the data keys of sensitive entities; "
        "unset: a file in the data folder's keys/, made at the first start. Keep a copy: they are unreadable without.",
    )
    kms_url: str | None = Field(
        default=None,
        pattern=r"^(https://\S+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?)$",
        description="A key management service in the form of Vault's transit engine, which wraps the data keys instead "
        "of ATRIUM_ENCRYPTION_KEY or a file: https://vault.example:8200.",
    )
    kms_key: str = Field(
        default="atrium", min_length=1, max_length=200, pattern=r"^[\w.-]+$", description="The key's name there."
    )
    kms_token: SecretStr | None = Field(default=None, description="The token for the key management service.")
    kms_token_file: Path | None = Field(
        default=None,
        description="File with that token instead, read at each call (an agent renews it).",
    )
    kms_ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) that sign the service's; unset: the system's."
    )
    encryption_keys_refresh_s: float = Field(
        default=60.0,
        ge=1,
        le=3600,
        description="How often a process looks for a new data key: a rotation is adopted within this (seconds).",
    )
    ray_address: str | None = Field(
        default=None,
        validation_alias=_usual("RAY_ADDRESS"),
        description="A running Ray cluster to join; unset: start one.",
    )

    host: str = Field(default="127.0.0.1", description="Address on which HTTP and WebSocket clients are served.")
    port: int = Field(default=8000, ge=1, le=65535, description="TCP port for HTTP and WebSocket clients.")
    entity_hosts: int = Field(
        default=2, ge=1, le=64, description="Entity host actors (count); shards spread over them."
    )
    gateway_replicas: int = Field(default=1, ge=1, le=256, description="Serve replicas of the gateway (count).")

    jwt_issuer: str = Field(default="atrium", min_length=1, description="The `iss` that access tokens must carry.")
    jwt_audience: str = Field(default="atrium", min_length=1, description="The `aud` that access tokens must carry.")
    jwt_leeway_s: int = Field(default=10, ge=0, le=300, description="Clock difference tolerated in tokens (seconds).")
    access_token_ttl_s: int = Field(
        default=3600, ge=60, le=86_400, description="Lifetime of issued access tokens (seconds); at most a day."
    )
    share_link_ttl_s: int = Field(
        default=86_400, ge=60, description="Lifetime of a signed order tracking link (seconds)."
    )

    rate_limits: bool = Field(
        default=True, description="Whether clients are held to rates (false for load tests among friends)."
    )
    rate_limit_anonymous: int = Field(
        default=1_000, ge=10, description="Requests per hour from one address without a token (count)."
    )
    rate_limit_burst: int = Field(
        default=300, ge=10, description="Requests per 10 seconds from one address without a token (count)."
    )
    rate_limit_subject: int = Field(
        default=6_000, ge=10, description="Requests per minute with one subject's tokens (count)."
    )
    rate_limit_auth: int = Field(
        default=60, ge=1, description="POST requests per minute from one address to the paths under /auth (count)."
    )
    trusted_proxies: str = Field(
        default="127.0.0.0/8,::1",
        description="Networks of proxies whose X-Forwarded-For is believed (separated by commas).",
    )

    cors_origins: str = Field(
        default="",
        pattern=r"^(\s*(\*|https?://[^/,\s]+)\s*(,|$))*$",
        description="Origins of web pages that may use the API and open sockets, besides its own: "
        "https://shop.example (separated by commas; * for any).",
    )

    read_timeout_s: float = Field(default=5.0, gt=0, description="A journal read longer than this fails (seconds).")
    database_pool_max: int = Field(
        default=5,
        ge=1,
        description="Connections per process for tables and lists (count), beside the journal's own.",
    )
    database_timeout_s: float = Field(
        default=10.0, gt=0, description="A table statement longer than this fails (seconds)."
    )

    stream_length_max: int = Field(
        default=100_000, ge=1, description="Entries kept per Redis topic, approximately (count)."
    )
    reaction_attempts_max: int = Field(
        default=8,
        ge=1,
        description="Tries of a reaction before its row is parked among the dead letters (count).",
    )
    reaction_backoff_ms: int = Field(
        default=250,
        ge=1,
        description="Pause before the first retry of a reaction, doubled each time (milliseconds).",
    )

    smtp_url: SecretStr | None = Field(
        default=None,
        description="smtp://user:password@host:587 (STARTTLS) or smtps://…:465 for outgoing mail; "
        "unset: .eml files in the data folder's mail/.",
    )
    mail_from: str = Field(
        default="Atrium <no-reply@localhost.localdomain>", min_length=3, description="The sender of outgoing mail."
    )
    app_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Web application that mails link to, as <app_url>/verify-email#token=…; unset: mails have a code.",
    )

    passkey_domain: str = Field(
        default="",
        pattern=r"^[a-z0-9.-]*$",
        description="Domain that passkeys are made for, also for the names below it; those made for another one are "
        "lost. Unset: the host of app_url, else localhost.",
    )
    passkey_origins: str = Field(
        default="",
        pattern=r"^(\s*https?://[^/,\s]+\s*(,|$))*$",
        description="Origins of pages that may use passkeys: https://shop.example (separated by commas); "
        "unset: that of app_url, else http://localhost:<port>.",
    )

    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token that /metrics asks for; "
        "unset: anybody may read it, and it shows no orders, no revenue.",
    )
    trace_endpoint: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Collector that takes traces by OTLP over HTTP, with its path: http://collector:4318/v1/traces; "
        "unset: see trace_file.",
    )
    trace_file: bool = Field(
        default=False,
        description="Without a collector: whether traces are written to traces.jsonl in the data folder.",
    )
    trace_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of requests and socket commands that are traced; one that comes with a `traceparent` "
        "goes by its flag.",
    )

    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^/?#@\s]+/?)?$",
        description="Where browsers reach this API: https://api.shop.example. Login providers send them back to "
        "<public_url>/api/v1/auth/oidc/<name>/callback; needed with oidc_providers.",
    )
    oidc_providers: SecretStr | None = Field(
        default=None,
        description="Login providers (OpenID Connect) as a JSON list: "
        '[{"name": "example", "issuer": "https://login.example", "client_id": "…", "client_secret": "…"}]; '
        "see the page on accounts. Unset: none.",
    )
    outgoing_private_networks: str = Field(
        default="",
        description="Networks of private addresses that outgoing HTTP may call, also without TLS: 10.1.0.0/16,::1 "
        "(separated by commas); unset: public addresses only.",
    )

    retention_file: Path | None = Field(
        default=None,
        description="TOML file with how long data is kept, in days by rule: docs/privacy.md; unset: the defaults.",
    )

    log_level: LogLevel = Field(default="info", description="Least severe level that is logged.")
    log_json: bool = Field(default=False, description="Log lines as JSON (true) or for people (false).")

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("smtp://", "smtps://")):
            raise ValueError("must start with smtp:// or smtps://")
        return value

    @field_validator("trusted_proxies", "outgoing_private_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in value.split(","):
            if part.strip():
                ip_network(part.strip(), strict=False)
        return value

    @field_validator("oidc_providers")
    @classmethod
    def _are_providers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            providers_of(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _can_be_returned_to(self) -> Self:
        if self.oidc_providers is not None and not self.public_url:
            raise ValueError("oidc_providers need public_url")
        return self

    @field_validator("encryption_key")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key_bytes(value.get_secret_value())
        return value

    def __getstate__(self) -> dict[Any, Any]:
        """What is pickled goes through Ray's object store: each process reads the keys from its own environment."""
        state = super().__getstate__()
        return state | {"__dict__": state["__dict__"] | {"encryption_key": None, "kms_token": None}}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read from the environment once. Prefer passing `Settings` along."""
    return Settings()
