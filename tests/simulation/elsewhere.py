"""Seeds run in a process of their own, with other hashes: what comes out must be the same."""

import os
import subprocess
import sys
from collections.abc import Sequence


def digests_elsewhere(module: str, seeds: Sequence[int]) -> list[str]:
    """What `simulate` of `module` says of these seeds there."""
    script = f"from {module} import simulate; print(*[simulate(seed).digest for seed in {tuple(seeds)}])"
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    there = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return there.stdout.split()
