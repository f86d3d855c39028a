import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from loadtests import bench
from loadtests.bench.__main__ import main
from loadtests.bench.report import record, result_line, table
from loadtests.bench.targets import TARGETS, Rule, Target, missed


@pytest.mark.parametrize(
    ("rule", "below", "exactly", "above"),
    [
        (Rule.AT_LEAST, False, True, True),
        (Rule.AT_MOST, True, True, False),
        (Rule.BELOW, True, False, False),
        (Rule.EQUALS, False, True, False),
    ],
)
def test_each_rule_holds_a_figure_against_its_bound(rule, below, exactly, above):
    target = Target("m", rule, 10)
    assert [target.met_by(figure) for figure in (9, 10, 11)] == [below, exactly, above]


def test_a_metric_that_was_not_measured_is_missed():
    assert [target.metric for target in missed("drain", {"refused": 0})] == ["longest_pause_ms"]


def test_not_a_number_meets_no_target():
    assert len(missed("failover", dict.fromkeys(("lost", "duplicated", "longest_pause_ms"), float("nan")))) == 3


def test_every_benchmark_has_a_target():
    folder = Path(bench.__file__).parent
    measuring = {path.stem for path in folder.glob("*.py") if "\nasync def run(" in path.read_text()}
    assert set(TARGETS) == measuring


def test_the_table_names_the_missed_metric():
    out = io.StringIO()
    Console(file=out, width=100).print(table("memory", {"bytes_per_live_cart": 5_000}))
    assert "missed" in out.getvalue()
    assert "4,096" in out.getvalue()


def test_the_result_line_is_one_json_object_with_name_and_metrics():
    assert msgspec.json.decode(result_line("drain", {"refused": 0})) == {"name": "drain", "metrics": {"refused": 0}}


def test_results_are_appended_with_time_and_machine(tmp_path):
    path = tmp_path / "bench" / "results.jsonl"
    record("drain", {"refused": 0}, path)
    record("drain", {"refused": 1}, path)
    lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert [line["metrics"]["refused"] for line in lines] == [0, 1]
    assert {"time", "name", "metrics", "machine"} == set(lines[0])


def test_an_unknown_benchmark_is_refused_with_the_names_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "commands, http" in capsys.readouterr().err
