"""What is asked of a collector, bounded: of its answers only the beginning is read, and not for long.

The exporter itself bounds what is sent, and follows no redirects.
"""

import time
from typing import Any, Final

import requests  # the exporter's own client

ANSWER_BYTES_MAX: Final = 65_536
"""Of an answer no more is read: its status is what counts."""
_PART_BYTES: Final = 8_192


class BoundedSession(requests.Session):
    def __init__(self, answer_seconds_max: float) -> None:
        """`answer_seconds_max`: for reading the body of one answer."""
        super().__init__()
        self._answer_seconds_max = answer_seconds_max

    def send(self, request: Any, **options: Any) -> Any:
        """As the base class, with a body that may be cut off."""
        answer = super().send(request, **(options | {"stream": True}))
        ends = time.monotonic() + self._answer_seconds_max
        body = bytearray()
        try:
            while len(body) < ANSWER_BYTES_MAX and time.monotonic() < ends:
                part = answer.raw.read1(min(_PART_BYTES, ANSWER_BYTES_MAX - len(body)), decode_content=False)
                if not part:
                    break
                body += part
        finally:
            answer.close()
        answer._content = bytes(body)  # noqa: SLF001 - what `content` gives
        return answer
