"""What is installed is what the lock says, the lock is what the project asks for, and all of it fits together.

Known vulnerabilities are not looked up: that needs a database from the network. Where there is one,
`pip-audit -r requirements.lock` does it.
"""

import re
import sysconfig
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

from cluster.checks.running import ROOT, run_module

_PIN: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.+))?$")
_BESIDE: Final = frozenset({"pip", "wheel", "atrium"})
"""Installed, and not ours to pin."""


def check(root: Path = ROOT) -> list[str]:
    """One line for each thing that is not as it should be."""
    lock = pins((root / "requirements.lock").read_text(encoding="utf-8"))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for group in project["optional-dependencies"].values() for each in group),
    ]
    fitting = run_module("pip", ["--disable-pip-version-check", "check"], root)
    broken = fitting.stdout.strip().splitlines() if fitting.returncode else []
    return [*below_floors(wanted, lock), *other_versions(lock, installed()), *broken]


def pins(text: str) -> dict[str, str]:
    """Version by normalized name, of what applies to this machine. Raises `ValueError` for a line that is no pin."""
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _PIN.match(line)
        if match is None:
            raise ValueError(f"not a pinned version: {line}")
        if match["marker"] is None or Marker(match["marker"]).evaluate():
            found[_normal(match["name"])] = match["version"]
    return found


def installed() -> dict[str, str]:
    """Version by normalized name, of this environment; not of what Ray brings along and puts on the path."""
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {_normal(one.name): one.version for one in metadata.distributions(path=folders)}


def below_floors(wanted: Iterable[str], lock: Mapping[str, str]) -> list[str]:
    """Requirements that the lock does not have, or not in a version that they allow."""
    said = []
    for text in wanted:
        requirement = Requirement(text)
        version = lock.get(_normal(requirement.name))
        if version is None:
            said.append(f"requirements.lock has no {requirement.name}: run `make lock`")
        elif Version(version) not in requirement.specifier:
            said.append(f"requirements.lock has {requirement.name} {version}, the project asks for {text}")
    return said


def other_versions(lock: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """What is installed in another version than the lock's, or not at all, or without being in the lock."""
    said = []
    for name, version in sorted(lock.items()):
        if name not in here:
            said.append(f"{name} {version} is not installed")
        elif Version(here[name]) != Version(version):
            said.append(f"{name} {here[name]} is installed, the lock says {version}")
    return said + [f"{name} is installed and not in the lock" for name in sorted(here.keys() - lock.keys() - _BESIDE)]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
