"""`python -m tests.simulation`: see `command.py`."""

import sys

from tests.simulation.command import main

sys.exit(main())
