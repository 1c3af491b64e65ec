# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes
from tests.pki import authority

PASSWORD = "swordfish"
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def problems(endpoints: Any, own: Any, ca: str = "") -> list[str]:
    return blackbox_probes.problems(endpoints, own, ca, NOW)


def endpoint(**changes: Any) -> dict[str, Any]:
    return {"name": "keystone", "url": "https://identity.example.org/v3", **changes}


def probe_of(own: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    (probe,) = blackbox_probes.probes([endpoint(**changes)], own or {})
    spec: dict[str, Any] = probe["spec"]
    return spec


def labels_of(**changes: Any) -> dict[str, str]:
    labels: dict[str, str] = probe_of(**changes)["targets"]["staticConfig"]["labels"]
    return labels


@pytest.mark.parametrize(
    ("url", "target", "module"),
    [
        ("https://identity.example.org/v3?a=b", "https://identity.example.org/v3?a=b", "http_2xx"),
        ("http://192.0.2.7:8080", "http://192.0.2.7:8080", "http_2xx"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/", "http_2xx"),
        ("tcp://db.example.org:3306", "db.example.org:3306", "tcp_connect"),
        ("tls://[2001:db8::1]:636", "[2001:db8::1]:636", "tcp_tls"),
        ("icmp://router.example.org", "router.example.org", "icmp"),
        ("icmp://[2001:db8::1]", "2001:db8::1", "icmp"),
        ("dns://192.0.2.53/example.org", "192.0.2.53", "dns:example.org"),
        (
            "dns://ns.example.org:5353/_ldap._tcp.example.org?type=srv",
            "ns.example.org:5353",
            "dns:_ldap._tcp.example.org:SRV",
        ),
    ],
)
def test_the_scheme_says_what_is_probed_and_how(url: str, target: str, module: str) -> None:
    spec = probe_of(url=url)
    assert spec["targets"]["staticConfig"]["static"] == [target]
    assert spec["module"] == module
    assert spec["module"] in blackbox_probes.modules([endpoint(url=url)], {})


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("https://identity.example.org/v3", None),
        ("tcp://db.example.org:3306", "tcp://db.example.org:3306"),
        ("dns://ns.example.org/a.example.org", "dns://ns.example.org/a.example.org"),
        ("HTTPS://identity.example.org/$1", "HTTPS://identity.example.org/$$1"),
    ],
)
def test_the_instance_is_the_url_of_the_catalogue(url: str, instance: str | None) -> None:
    relabelings = probe_of(url=url)["targets"]["staticConfig"].get("relabelingConfigs")
    assert relabelings == (instance and [{"targetLabel": "instance", "replacement": instance}])


def test_labels_tell_the_entry() -> None:
    assert labels_of(url="dns://192.0.2.53/example.org") == {
        "probe": "keystone",
        "criticality": "warning",
        "owner": "csp",
        "module": "dns",
    }
    given = {"criticality": "critical", "owner": "customer", "region": "north", "labels": {"service": "identity"}}
    assert labels_of(**given) == {
        "probe": "keystone",
        "criticality": "critical",
        "owner": "customer",
        "region": "north",
        "service": "identity",
        "module": "http_2xx",
    }


@pytest.mark.parametrize(
    ("interval", "timeout"), [("5s", "5s"), ("7500ms", "7s"), ("10s", "10s"), ("1m", "10s"), ("4m", "10s")]
)
def test_a_probe_ends_before_the_next_one_begins(interval: str, timeout: str) -> None:
    spec = probe_of(interval=interval)
    assert (spec["interval"], spec["scrapeTimeout"]) == (interval, timeout)


def test_each_question_of_dns_has_a_module_of_its_own() -> None:
    own = {"dns_tcp": {"prober": "dns", "timeout": "3s", "dns": {"transport_protocol": "tcp"}}}
    entries = [
        endpoint(name="a", url="dns://192.0.2.53/example.org"),
        endpoint(name="b", url="dns://192.0.2.53/example.org?type=MX", module="dns_tcp"),
    ]
    modules = blackbox_probes.modules(entries, own)
    assert modules["dns:example.org"]["dns"] == {**blackbox_probes.MODULES["dns"]["dns"], "query_name": "example.org"}
    assert modules["dns_tcp:example.org:MX"] == {
        "prober": "dns",
        "timeout": "3s",
        "dns": {"transport_protocol": "tcp", "query_name": "example.org", "query_type": "MX"},
    }
    # Those that come along are left as they were.
    assert "query_name" not in blackbox_probes.MODULES["dns"]["dns"]


def test_own_modules_are_beside_ours_and_in_their_place() -> None:
    own = {"http_2xx": {"prober": "http", "timeout": "2s"}, "ssh": {"prober": "tcp"}}
    modules = blackbox_probes.modules([], own)
    assert (modules["http_2xx"], modules["ssh"]) == (own["http_2xx"], own["ssh"])
    # Without a question the exporter would not load it.
    assert set(blackbox_probes.MODULES) - set(modules) == {"dns"}
    assert probe_of(own, url="tcp://host.example.org:22", module="ssh")["module"] == "ssh"


def test_a_question_may_be_that_of_an_own_module() -> None:
    own = {"soa": {"prober": "dns", "dns": {"query_name": "example.org", "query_type": "SOA"}}}
    assert probe_of(own, url="dns://192.0.2.53", module="soa")["module"] == "soa"


# What is wrong with an entry -> the field that is named, and what is said of it
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "required"),
    ({"name": "Key Stone"}, "name", "not a DNS label"),
    ({"name": "k" * 51}, "name", "longer than 50"),
    ({"url": None}, "url", "required"),
    ({"url": 5}, "url", "must be a text"),
    ({"url": "identity.example.org"}, "url", "not a URL"),
    ({"url": "https:///v3"}, "url", "not a URL"),
    ({"url": "https://[::1"}, "url", "cannot be read"),
    ({"url": "https://host:70000"}, "url", "cannot be read"),
    ({"url": "https://host:0"}, "url", "0 is not a port"),
    ({"url": "https://ho st/"}, "url", "blanks"),
    ({"url": "https://host/\n"}, "url", "blanks"),
    ({"url": "https://.example.org"}, "url", "no host"),
    ({"url": "https://192.0.2.256/"}, "url", "no host"),
    ({"url": "htps://host"}, "url", "did you mean https?"),
    ({"url": "gopher://host"}, "url", "known are dns, http, https"),
    ({"url": f"https://admin:{PASSWORD}@host/"}, "url", "credentials"),
    ({"url": "tcp://host"}, "url", "needs a port"),
    ({"url": "tls://host:443/path"}, "url", "must end after the port"),
    ({"url": "icmp://host:7"}, "url", "no port"),
    ({"url": "icmp://host/x"}, "url", "must end after the host"),
    ({"url": "dns://192.0.2.53"}, "url", "name to ask for"),
    ({"url": "dns://192.0.2.53/a..b"}, "url", "not a name"),
    ({"url": "dns://192.0.2.53/a?type=AAA"}, "url", "did you mean AAAA?"),
    ({"url": "dns://192.0.2.53/a?class=IN"}, "url", "only have ?type="),
    ({"module": "http_2x"}, "module", "did you mean http_2xx?"),
    ({"module": ["http_2xx"]}, "module", "not known"),
    ({"module": "icmp"}, "module", "does not probe https://; those that do are http_2xx, http_any"),
    ({"criticality": "critcal"}, "criticality", "did you mean critical?"),
    ({"owner": "me"}, "owner", "known are csp, customer"),
    ({"region": 7}, "region", "must be a text"),
    ({"interval": "often"}, "interval", "not a duration"),
    ({"interval": 30}, "interval", "not a duration"),
    ({"interval": "1s"}, "interval", "not between 5s and 4m"),
    ({"interval": "5m"}, "interval", "not between 5s and 4m"),
    ({"labels": ["a"]}, "labels", "must be a dictionary"),
    ({"labels": {"a-b": "c"}}, "labels", "not the name of a label"),
    ({"labels": {"__address__": "c"}}, "labels", "not the name of a label"),
    ({"labels": {"module": "c"}}, "labels.module", "something else"),
    ({"labels": {"cluster": "kaas-1"}}, "labels.cluster", "something else"),
    ({"labels": {"a": True}}, "labels.a", "must be a text"),
    ({"intervall": "30s"}, "intervall", "did you mean interval?"),
]


@pytest.mark.parametrize(("changes", "field", "text"), REFUSED, ids=[str(changes) for changes, *_rest in REFUSED])
def test_what_cannot_be_probed_is_refused_by_its_place(changes: dict[str, Any], field: str, text: str) -> None:
    (problem,) = problems([endpoint(name="fine", url="https://host/"), endpoint(**changes)], {})
    assert problem.startswith(f"observer_endpoints[1].{field}: ")
    assert text in problem
    assert PASSWORD not in problem


MODULES: list[tuple[Any, str]] = [
    ({"a:b": {"prober": "http"}}, "a:b: the name must"),
    ({"own": "http"}, "own: must be a dictionary"),
    ({"own": {}}, "own: prober: None is not known"),
    ({"own": {"prober": "htp"}}, "own: prober: 'htp' is not known; did you mean http?"),
    ({"own": {"prober": "http", "htpp": {}}}, "own: 'htpp' is not known; did you mean http?"),
    ({"own": {"prober": "http", "http": []}}, "own: http: must be a dictionary"),
    ({"own": {"prober": "http", "timeout": "5"}}, "own: timeout: '5' is not a duration"),
]


@pytest.mark.parametrize(("own", "text"), MODULES, ids=[text for _own, text in MODULES])
def test_a_module_that_the_exporter_would_not_load_is_refused(own: Any, text: str) -> None:
    (problem,) = problems([], own)
    assert problem.startswith(f"observer_blackbox_exporter_modules.{text}")


@pytest.mark.parametrize("given", ["https://host/", {"name": "a"}, None, 5])
def test_what_is_no_list_is_refused(given: Any) -> None:
    assert problems(given, {}) == ["observer_endpoints: must be a list of endpoints"]


def test_nothing_is_there_twice() -> None:
    entries = [
        endpoint(),
        endpoint(name="other", url="https://host/"),
        endpoint(url="https://elsewhere/"),
        endpoint(name="again"),
        # The module that it has anyhow
        endpoint(name="explicit", module="http_2xx"),
        # Another question
        endpoint(name="any", module="http_any"),
    ]
    assert problems(entries, {}) == [
        "observer_endpoints[2].name: is that of observer_endpoints[0], too",
        "observer_endpoints[3].url: is that of observer_endpoints[0], too",
        "observer_endpoints[4].url: is that of observer_endpoints[0], too",
    ]


def test_all_problems_are_said_at_once() -> None:
    entries = ["https://host/", endpoint(url="tcp://host", criticality="high", interval="x"), endpoint(modul="a")]
    with pytest.raises(InputError) as caught:
        blackbox_probes.probes(entries, {"own": {"prober": "x"}})
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(": ")[0] for line in lines] == [
        "observer_blackbox_exporter_modules.own",
        "observer_endpoints[0]",
        "observer_endpoints[1].interval",
        "observer_endpoints[1].criticality",
        "observer_endpoints[1].url",
        "observer_endpoints[2].modul",
        "observer_endpoints[2].name",
    ]


@pytest.mark.parametrize("value", [None, "", 0, [], {}, "x", 1.5, True, [[]], ["x"]])
@pytest.mark.parametrize("field", blackbox_probes.KEYS)
def test_whatever_is_given_is_taken_or_refused(field: str, value: Any) -> None:
    found = problems([endpoint(**{field: value})], {})
    assert all(problem.startswith("observer_endpoints[0]") for problem in found)


@pytest.mark.parametrize(
    "module", [None, "x", [], {}, {"prober": []}, {"prober": "dns", "dns": "x"}, {"prober": "dns"}]
)
def test_an_own_module_of_any_kind_may_be_named(module: Any) -> None:
    found = problems([endpoint(url="dns://192.0.2.53", module="own")], {"own": module})
    assert found


def test_authorities_that_nobody_can_be_known_by_are_refused() -> None:
    valid = authority("provider", start=NOW - timedelta(days=1), end=NOW + timedelta(days=1))
    expired = authority("provider", start=NOW - timedelta(days=2), end=NOW - timedelta(days=1))
    assert problems([], {}, valid.pem) == []
    for ca in ("nothing", expired.pem, valid.pem + valid.key_pem):
        (problem,) = problems([], {}, ca)
        assert problem.startswith("observer_endpoints_ca: ")
