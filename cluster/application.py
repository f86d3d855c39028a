"""The gateways as `serve deploy cluster/serve_config.yaml` builds them, from the environment of the cluster's nodes."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from actors.runtime.host_actor import RuntimeConfig
from cluster.datadir import DataDir
from serve.app import NOUNS
from serve.assembly import GatewayConfig
from serve.deployment import gateway_application
from storage.settings import Settings
from storage.tracing.config import trace_config_of


class Arguments(BaseModel):
    """What the file gives under `args`: the nouns of this application, all of them by default."""

    model_config = ConfigDict(extra="forbid")

    nouns: list[str] = list(NOUNS)


def build(arguments: Arguments) -> Any:
    """The Serve application. Raises `ValueError` unless the environment names both databases, `KeyError` for a noun."""
    settings = Settings()
    if settings.database_url is None or settings.redis_url is None:
        raise ValueError("a cluster's gateways need DATABASE_URL and REDIS_URL in the environment of every node")
    if unknown := set(arguments.nouns) - NOUNS.keys():
        raise KeyError(f"no such nouns: {', '.join(sorted(unknown))}")
    data = DataDir(settings.data_dir)
    runtime = RuntimeConfig(
        settings.database_url.get_secret_value(),
        settings.redis_url.get_secret_value(),
        log_dir=str(data.logs),
        keys_dir=str(data.keys),
        traces=trace_config_of(settings),
    )
    config = GatewayConfig(runtime=runtime, settings=settings, nouns=tuple(arguments.nouns))
    return gateway_application(config, replicas=settings.gateway_replicas)
