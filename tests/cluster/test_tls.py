"""The ready configurations of TLS in front: they parse, they take TLS 1.3 only, and let through what Atrium needs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
TLS = ROOT / "cluster" / "tls"
_TOKENS = re.compile(r"""#[^\n]*|"[^"]*"|'[^']*'|[{};]|[^\s{};]+""")


class Directive(NamedTuple):
    name: str
    words: tuple[str, ...]
    block: tuple["Directive", ...]


def parsed(words: Iterator[str], depth: int = 0) -> tuple[Directive, ...]:
    """nginx's syntax: words up to `;`, or words and a block."""
    found, line = [], list[str]()
    for word in words:
        if word == ";":
            found.append(Directive(line[0], tuple(line[1:]), ()))
            line = []
        elif word == "{":
            found.append(Directive(line[0], tuple(line[1:]), parsed(words, depth + 1)))
            line = []
        elif word == "}":
            assert depth, "a block is closed that was not opened"
            assert not line, "a `;` is missing"
            return tuple(found)
        else:
            line.append(word.strip("\"'"))
    assert not depth, "a block is not closed"
    assert not line, "a `;` is missing"
    return tuple(found)


def nginx() -> tuple[Directive, ...]:
    text = (TLS / "nginx.conf").read_text()
    return parsed(word for word in _TOKENS.findall(text) if not word.startswith("#"))


def of(block: tuple[Directive, ...], name: str) -> list[Directive]:
    return [each for each in block if each.name == name]


def secure() -> tuple[Directive, ...]:
    return next(each.block for each in of(nginx(), "server") if "ssl" in of(each.block, "listen")[0].words)


def test_nginx_speaks_tls_1_3_and_nothing_older() -> None:
    servers = of(nginx(), "server")
    assert len(servers) == 2
    for server in servers:
        listens = of(server.block, "listen")[0].words
        if "ssl" in listens:
            assert [each.words for each in of(server.block, "ssl_protocols")] == [("TLSv1.3",)]
        else:
            assert of(server.block, "return")[0].words[0] == "308", "plain HTTP only leads to TLS"
            assert not of(server.block, "location")
    assert of(secure(), "ssl_early_data")[0].words == ("off",), "a request in early data can be replayed"
    assert "max-age=" in of(secure(), "add_header")[0].words[1]


def test_nginx_passes_on_the_api_only_with_the_headers_that_atrium_goes_by() -> None:
    locations = {each.words[0]: each.block for each in of(secure(), "location")}
    assert set(locations) == {"/api/", "/"}
    assert of(locations["/"], "return")[0].words == ("404",)
    passed = {each.words[0]: each.words[1] for each in of(locations["/api/"], "proxy_set_header")}
    assert passed == {
        "Host": "$host",
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "https",
        "Upgrade": "$http_upgrade",
        "Connection": "$connection_upgrade",
    }
    assert of(locations["/api/"], "proxy_http_version")[0].words == ("1.1",)
    mapped = next(each for each in of(nginx(), "map") if each.words == ("$http_upgrade", "$connection_upgrade"))
    assert {each.name: each.words for each in mapped.block} == {"default": ("upgrade",), "": ("",)}


def test_nginx_cuts_slow_senders_off() -> None:
    for name in ("client_header_timeout", "client_body_timeout", "send_timeout"):
        assert int(of(secure(), name)[0].words[0].removesuffix("s")) <= 30
    assert of(secure(), "client_max_body_size")[0].words == ("1m",)


def test_the_ingress_speaks_tls_1_3_and_leads_to_the_service() -> None:
    documents: dict[str, Any] = {each["kind"]: each for each in yaml.safe_load_all((TLS / "ingress.yaml").read_text())}
    assert set(documents) == {"TLSOption", "Middleware", "Ingress"}
    assert documents["TLSOption"]["spec"]["minVersion"] == "VersionTLS13"
    ingress = documents["Ingress"]
    said = ingress["metadata"]["annotations"]
    namespace = ingress["metadata"]["namespace"]
    option, middleware = (documents[kind]["metadata"] for kind in ("TLSOption", "Middleware"))
    base = "traefik.ingress.kubernetes.io/router"
    assert said[f"{base}.tls.options"] == f"{option['namespace']}-{option['name']}@kubernetescrd"
    assert said[f"{base}.middlewares"] == f"{middleware['namespace']}-{middleware['name']}@kubernetescrd"
    assert said[f"{base}.entrypoints"] == "websecure"
    assert ingress["spec"]["tls"][0]["hosts"] == [ingress["spec"]["rules"][0]["host"]]
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/api/", "Prefix")
    services = {
        each["metadata"]["name"]: each
        for each in yaml.safe_load_all((ROOT / "cluster" / "kuberay.yaml").read_text())
        if each["kind"] == "Service"
    }
    service = services[path["backend"]["service"]["name"]]
    assert path["backend"]["service"]["port"]["name"] in {each["name"] for each in service["spec"]["ports"]}
    assert service["metadata"].get("namespace", namespace) == namespace
