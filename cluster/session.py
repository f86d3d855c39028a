"""A command in a session of its own, so that a signal to the whole process group reaches it once.

A terminal, `timeout` and many service managers signal every process of a group. Ray's processes would then end
under a stack that is about to drain them. So the command runs in a forked child with its own session, and the
process that was started passes each signal on, waits, and ends as the child ended. If it is killed itself, the
kernel kills the child too.
"""

import contextlib
import ctypes
import os
import signal
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def enter() -> None:
    """Return in the child; the parent waits for it and exits with its exit code."""
    parent = os.getpid()
    child = os.fork()
    if child:
        _forward_to(child)
        sys.exit(_outcome(child))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the kernel knew
    os.setsid()


def _forward_to(child: int) -> None:
    def forward(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM if number == signal.SIGHUP else number)

    for number in _FORWARDED:
        signal.signal(number, forward)


def _outcome(child: int) -> int:
    """The child's exit code, 128 + the signal's number if one ended it."""
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
