"""`python -m tests.simulation.tablets --seeds 1000`: a clinic's tablets, gateways and hosts under faults, by seed."""

import sys

from tests.simulation.command import main
from tests.simulation.tablets.run import DEFAULT_EDITS, simulate

if __name__ == "__main__":
    sys.exit(main("tests.simulation.tablets", simulate, DEFAULT_EDITS))
