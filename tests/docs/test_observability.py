"""Dashboards, alert rules and the page about them name metrics and labels that exist, and all that exist are named."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from actors.kinds import KINDS
from actors.runtime.figures import FAMILIES, HOST_FAMILIES, REACTOR_FAMILIES, STEWARD_FAMILIES, Sample
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.local import LocalRuntime
from serve.assembly import GatewayConfig, open_gateway
from serve.readiness import AFFECTS
from storage.journal.postgres import PostgresJournal
from storage.settings import Settings
from tests.docs.pages import ROOT, rows, section
from tests.docs.promql import named_in

FOLDER = ROOT / "cluster" / "observability"
PAGE = "docs/observability.md"
BOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
OF_PROMETHEUS = {"up": {"job", "instance"}}
ANY = {"job", "instance"}
"""Labels that Prometheus adds to whatever it scrapes."""


class Metric(NamedTuple):
    type: str
    labels: frozenset[str]


def expressions() -> list[tuple[str, str]]:
    found = [(rule["alert"], rule["expr"]) for rule in RULES]
    for board in BOARDS:
        for panel in json.loads(board.read_text())["panels"]:
            found += [(f"{board.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return found


class Everything:
    """Processes that report a sample of each family they may report."""

    async def of(self, process: str) -> Sequence[Sample]:
        families = {"steward": STEWARD_FAMILIES, "reactor": REACTOR_FAMILIES}.get(process, HOST_FAMILIES)
        return [
            Sample(name, ("x",) * len(family.labels), 1, [(float("inf"), 1)] if family.type == "histogram" else [])
            for name, family in families.items()
        ]


@pytest.fixture
async def existing(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[dict[str, Metric]]:
    """What a real gateway shows, by the names Prometheus knows: without the suffixes of a histogram's parts."""
    runtime = RuntimeConfig(database_url, redis_url, keys_dir=str(tmp_path / "keys"))
    settings = Settings(data_dir=tmp_path, metrics_token="a token of some length")
    config = GatewayConfig(runtime=runtime, settings=settings)
    journal = await PostgresJournal(database_url).open()
    keys = await runtime.open_keys()
    try:
        async with (
            LocalRuntime(journal, journal, KINDS, keys=keys) as local,
            open_gateway(config, "gateway-1", local.client, processes=Everything()) as gateway,
        ):
            assert gateway.relay is not None
            await gateway.relay.refresh()
            found = {}
            for collector in list(gateway.registry._collector_to_names):
                for metric in collector.collect():
                    labels = getattr(collector, "_labelnames", ()) or getattr(metric, "_labelnames", ())
                    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
                    found[name] = Metric(metric.type, frozenset(labels))
            yield found
    finally:
        await journal.close()


def series(name: str, existing: dict[str, Metric]) -> set[str] | None:
    """The labels that a series of this name may have; None: there is no such series."""
    if name in OF_PROMETHEUS:
        return OF_PROMETHEUS[name]
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    if base != name and base in existing and existing[base].type == "histogram":
        return set(existing[base].labels) | ANY | ({"le"} if name.endswith("_bucket") else set())
    found = existing.get(name)
    return None if found is None or found.type == "histogram" else set(found.labels) | ANY


@pytest.mark.stack
async def test_every_metric_and_label_that_dashboards_and_rules_name_exists(existing: dict[str, Metric]) -> None:
    for where, expression in expressions():
        named = named_in(expression)
        assert named.metrics, f"{where} asks for nothing"
        may: set[str] = set()
        for metric, matched in named.metrics.items():
            labels = series(metric, existing)
            assert labels is not None, f"{where}: there is no metric {metric}"
            assert matched <= labels, f"{where}: {metric} has no labels {matched - labels}"
            may |= labels
        assert named.labels <= may, f"{where}: nothing has labels {named.labels - may}"


@pytest.mark.stack
async def test_every_metric_is_documented_with_its_type_and_labels_and_no_other(existing: dict[str, Metric]) -> None:
    documented = {
        name: (cells[0].removesuffix(" ¹"), frozenset(re.findall(r"`(\w+)`", cells[1])))
        for name, cells in rows(section(PAGE, "## Metrics")).items()
    }
    ours = {name: (one.type, one.labels) for name, one in existing.items() if name.startswith("atrium_")}
    assert documented == ours
    assert {name for name, cells in rows(section(PAGE, "## Metrics")).items() if "¹" in cells[0]} == {
        name for name, family in FAMILIES.items() if family.confidential
    }


@pytest.mark.stack
async def test_every_metric_of_ours_is_on_a_dashboard_or_in_a_rule(existing: dict[str, Metric]) -> None:
    named = {re.sub(r"_bucket$", "", metric) for _, text in expressions() for metric in named_in(text).metrics}
    assert {name for name in existing if name.startswith("atrium_")} - named == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_how_bad_it_is_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (page, anchor) == (PAGE, rule["alert"].lower())
    assert len(section(PAGE, f"### {rule['alert']}").strip()) > 40


def test_every_runbook_is_of_a_rule_and_no_rule_is_there_twice() -> None:
    names = [rule["alert"] for rule in RULES]
    assert re.findall(r"^### (\w+)$", section(PAGE, "## Alerts"), re.MULTILINE) == names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_a_dashboard_can_be_imported_wherever_prometheus_is_called_something_else(board: Path) -> None:
    document = json.loads(board.read_text())
    assert document["uid"] == f"atrium-{board.stem}"
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    assert {panel["datasource"]["uid"] for panel in document["panels"]} == {"${datasource}"}
    for panel in document["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]


def test_what_suffers_without_a_part_is_documented() -> None:
    documented = rows(section(PAGE, "## What suffers without a part"))
    assert set(documented) == set(AFFECTS)
    for part, features in AFFECTS.items():
        for feature in features:
            assert feature in documented[part][0].replace("`", ""), (part, feature)


def test_prometheus_is_told_of_the_rules_and_of_the_gateways() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    assert "atrium" in {job["job_name"] for job in config["scrape_configs"]}


@pytest.mark.parametrize(
    ("expression", "metrics", "labels"),
    [
        ("up", {"up": set()}, set()),
        ('sum by (a, b) (rate(m_total{c="by (x)", d=~"e|f"}[5m])) > 1', {"m_total": {"c", "d"}}, {"a", "b"}),
        ("x / on () group_left (z) sum without (y) (q offset 5m)", {"x": set(), "q": set()}, {"y", "z"}),
        (
            'changes(max by (h) (e)[15m:15s]) > 1.4e9 or n{} unless m{h!="$host"}',
            {"e": set(), "n": set(), "m": {"h"}},
            {"h"},
        ),
        ("rate(m[$__rate_interval])", {"m": set()}, set()),
    ],
)
def test_promql_is_read_as_prometheus_reads_it(expression: str, metrics: dict[str, set[str]], labels: set[str]) -> None:
    assert named_in(expression) == (metrics, labels)


@pytest.mark.parametrize("broken", ["sum(a", "a}", "rate(a[5m)", "a ; b"])
def test_what_is_no_promql_is_told(broken: str) -> None:
    with pytest.raises(ValueError, match=r"unbalanced|cannot read"):
        named_in(broken)
