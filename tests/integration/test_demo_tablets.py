"""The play of `atrium demo tablets`, whole, with a host killed in it."""

from cluster.commands.token import issuer
from cluster.demo.stage import Stage, Victim
from cluster.demo.tablets.play import Play
from loadtests.stack import Stack
from storage.settings import Settings
from tests.integration.town import ON_THE_STACK

pytestmark = ON_THE_STACK


async def test_two_tablets_and_a_board_agree_after_everything_that_happens_to_them(stack: Stack) -> None:
    async def victims() -> list[Victim]:
        return [Victim(name, pid) for name, pid in (await stack.host_pids()).items()]

    tokens = issuer(Settings(data_dir=stack.folder))
    run = stack.run
    play = Play(Stage(base_url=run.base_url, database_url=run.database_url, tokens=tokens, victims=victims))
    result = await play.perform()
    assert result.failure == ""
    assert result.verdict is not None
    assert [row for row in result.verdict.rows if not row.ok] == []
    assert (result.verdict.lost, result.verdict.duplicated) == (0, 0)
    assert result.kill is not None
    assert result.kill.pause_ms < 5_000
    assert result.edits_offline == 9
