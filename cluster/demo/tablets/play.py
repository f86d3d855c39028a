"""One performance, from the log-in to the verdict, against an installation that is up."""

import tempfile
import time
import uuid
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from cluster.demo.stage import Stage
from cluster.demo.tablets import acts, settling
from cluster.demo.tablets.company import Company, Kill
from cluster.demo.tablets.reconcile import Verdict, reconcile
from cluster.demo.tablets.seats import StalledError
from cluster.demo.tablets.view import Picture, Step
from realtime.client.errors import LiveError
from realtime.client.http import HttpError

ACTS = (
    acts.log_in,
    acts.chart_together,
    acts.chart_apart,
    acts.restart_an_app,
    acts.come_back,
    settling.put_right,
    settling.sign,
)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One performance. `failure` is why it could not go on; then there is no verdict.

    `edits` counts all of them, `edits_offline` those that were made without a link.
    """

    seconds: float
    edits: int
    edits_offline: int
    kill: Kill | None
    verdict: Verdict | None
    failure: str = ""

    @property
    def good(self) -> bool:
        return self.verdict is not None and self.verdict.good


class Play:
    """`steps` grows while it is performed; `picture()` is what the three screens show now.

    `pace_s`: a rest after each step, for people who watch.
    """

    def __init__(self, stage: Stage, pace_s: float = 0.0) -> None:
        self.steps: list[Step] = []
        self._stage = stage
        self._pace_s = pace_s
        self._company: Company | None = None
        self._last: Picture | None = None

    def picture(self) -> Picture | None:
        """None before there is anything to see; at the end what there was before everybody left."""
        if self._last is not None or self._company is None:
            return self._last
        return self._company.picture()

    async def perform(self) -> Result:
        """What goes wrong on the stage is not raised: it is the result's `failure`."""
        began = time.monotonic()
        verdict, failure = None, ""
        try:
            verdict = await self._perform()
        except (StalledError, LiveError, HttpError) as error:
            failure = str(error)
        company = self._company
        return Result(
            seconds=round(time.monotonic() - began, 2),
            edits=0 if company is None else len(company.book.edits()),
            edits_offline=0 if company is None else company.edits_offline,
            kill=None if company is None else company.kill,
            verdict=verdict,
            failure=failure,
        )

    async def _perform(self) -> Verdict:
        run = uuid.uuid4().hex[:8]
        with tempfile.TemporaryDirectory(prefix="atrium-tablets-") as folder:
            async with AsyncExitStack() as exits:
                company = await Company.gather(self._stage, run, Path(folder), self.steps, self._pace_s, exits)
                self._company = company
                try:
                    for act in ACTS:
                        await act(company)
                    return reconcile(await settling.evidence(company))
                finally:
                    self._last = company.picture()
