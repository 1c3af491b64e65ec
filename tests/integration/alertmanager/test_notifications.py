# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people get, and what they are spared, from a real Alertmanager over HTTP and by mail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.alertmanager.servers import (
    EXTERNAL_URL,
    PASSWORD,
    USER,
    Alertmanager,
    Mail,
    Web,
    running_alertmanager,
    running_mail,
    running_web,
    wait_for,
)
from tests.mail_server import Received
from tests.pki import authority, make

TOKEN = "bearer-of-the-pager"
SECRET_PATH = "/hook/T000/B000/swordfish"
ANNOTATIONS = {
    "summary": "No samples of kaas-1 for 10 minutes",
    "action": "Look at the agent's pod in scs-observability",
    "runbook_url": "https://runbooks.example.com/KaaSClusterDown",
}


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with running_web() as web:
        yield web


@pytest.fixture(scope="module")
def mail_authority() -> Any:
    return authority("mail authority")


@pytest.fixture(scope="module")
def mail(mail_authority: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mail]:
    server = make("mail.test", mail_authority, names=["127.0.0.1"])
    path = tmp_path_factory.mktemp("mail") / "server.pem"
    path.write_text(server.pem + server.key_pem)
    with running_mail(path) as mail:
        yield mail


@pytest.fixture(scope="module")
def data(web: Web, mail: Mail, mail_authority: Any) -> dict[str, Any]:
    return {
        "smtp_smarthost": f"127.0.0.1:{mail.port}",
        "smtp_from": "observer@example.com",
        "smtp_username": USER,
        "smtp_password": PASSWORD,
        "smtp_ca": mail_authority.pem,
        "receivers": [
            {"name": "oncall", "type": "webhook", "url": web.url(SECRET_PATH), "token": TOKEN},
            {"name": "chat", "type": "slack", "url": web.url("/chat"), "channel": "#alerts"},
            {"name": "tickets", "type": "email", "to": ["a@example.com", "b@example.com"]},
            {"name": "acme", "type": "matrix", "url": web.url("/acme")},
            {"name": "beat", "type": "webhook", "url": web.url("/beat")},
        ],
        "page_receivers": ["oncall", "chat"],
        "ticket_receivers": ["tickets"],
        "heartbeat_receivers": {"ObserverWatchdog": "beat"},
        "heartbeat_interval": "1s",
        "routes": [{"customer": "acme", "receivers": ["acme"]}],
        # Tickets at any time; what is bronze pages in no hour of these years.
        "working_hours": [{"years": ["2000:2999"]}],
        "time_intervals": [{"name": "long-ago", "time_intervals": [{"years": ["1999"]}]}],
        "sla_hours": {"bronze": "long-ago"},
        "group_wait": "1s",
        "group_interval": "1s",
        "dashboard_url": "https://grafana.example.com/d/kaas?var-cluster={cluster}",
    }


@pytest.fixture(scope="module")
def alertmanager(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with running_alertmanager(data, tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


def told(web: Web, path: str, **labels: str) -> list[Any]:
    """Notifications whose alerts all have the labels."""
    return [
        body
        for body in web.bodies(path)
        if all(alert["labels"].items() >= labels.items() for alert in body.get("alerts", []))
    ]


def mails(mail: Mail, *words: str) -> list[Received]:
    return [found for found in list(mail.messages) if all(word in found.message["Subject"] for word in words)]


def state(alertmanager: Alertmanager, by: str, **labels: str) -> bool:
    """Whether something keeps the alert from being told: inhibitedBy, silencedBy or mutedBy."""
    return bool(alertmanager.status(**labels).get(by))


def test_what_belongs_together_is_told_together(alertmanager: Alertmanager, web: Web) -> None:
    one = {"alertname": "NodeDown", "cluster": "kaas-g", "severity": "critical", "sla": "gold", "instance": "a"}
    alertmanager.fire(one, {**one, "instance": "b"}, {**one, "cluster": "kaas-h"})
    (group,) = wait_for(lambda: told(web, SECRET_PATH, cluster="kaas-g"), "page about both nodes")
    assert [alert["labels"]["instance"] for alert in group["alerts"]] == ["a", "b"]
    assert (group["receiver"], group["status"], group["externalURL"]) == ("oncall", "firing", EXTERNAL_URL)
    (other,) = wait_for(lambda: told(web, SECRET_PATH, cluster="kaas-h"), "page about the other cluster")
    assert len(other["alerts"]) == 1
    headers = next(headers for path, headers, _body in web.requests if path == SECRET_PATH)
    assert headers["Authorization"] == f"Bearer {TOKEN}"


def test_chat_names_what_is_wrong_and_what_to_do(alertmanager: Alertmanager, web: Web) -> None:
    labels = {
        "alertname": "KaaSClusterDown",
        "cluster": "kaas-1",
        "severity": "critical",
        "customer": "initech",
        "sla": "gold",
    }
    alertmanager.fire(labels, annotations=ANNOTATIONS)
    message = wait_for(lambda: [body for body in web.bodies("/chat") if "kaas-1" in str(body)], "message")[0]
    (attachment,) = message["attachments"]
    assert message["channel"] == "#alerts"
    assert attachment["title"] == "[CRITICAL] KaaSClusterDown, cluster kaas-1, customer initech, SLA gold"
    assert attachment["title_link"] == EXTERNAL_URL
    for text in (
        "Cluster: kaas-1",
        "Customer: initech",
        "SLA: gold",
        "No samples of kaas-1 for 10 minutes",
        "First action: Look at the agent's pod in scs-observability",
        "Runbook: https://runbooks.example.com/KaaSClusterDown",
        "Dashboard: https://grafana.example.com/d/kaas?var-cluster=kaas-1",
        "Expression: http://thanos-query.test/graph?g0.expr=up",
        f"Silence: {EXTERNAL_URL}/#/silences/new?filter=%7Balertname%3D%22KaaSClusterDown%22%2C"
        "cluster%3D%22kaas-1%22%7D",
    ):
        assert text in attachment["text"]


def test_a_ticket_comes_by_mail_and_so_does_its_end(alertmanager: Alertmanager, mail: Mail) -> None:
    labels = {
        "alertname": "PodCrashes",
        "cluster": "kaas-m",
        "severity": "warning",
        "customer": "initech",
        "sla": "silver",
    }
    alertmanager.fire(labels, annotations=ANNOTATIONS)
    found = wait_for(lambda: mails(mail, "PodCrashes"), "mail")
    assert (found[0].recipients, found[0].user, found[0].secure) == (["a@example.com", "b@example.com"], USER, True)
    message = found[0].message
    assert message["From"] == "observer@example.com"
    assert message["Subject"] == "[WARNING] PodCrashes, cluster kaas-m, customer initech, SLA silver"
    text = found[0].text
    assert message.get_body(preferencelist=("html",)) is None
    for line in (
        "Customer: initech",
        "SLA: silver",
        f"First action: {ANNOTATIONS['action']}",
        f"Runbook: {ANNOTATIONS['runbook_url']}",
    ):
        assert line in text.splitlines()
    alertmanager.fire(labels, annotations=ANNOTATIONS, ended=True)
    wait_for(lambda: mails(mail, "[RESOLVED] PodCrashes, cluster kaas-m"), "mail about the end")


def test_the_end_of_a_page_is_told(alertmanager: Alertmanager, web: Web) -> None:
    labels = {"alertname": "EtcdNoLeader", "cluster": "kaas-e", "severity": "critical"}
    alertmanager.fire(labels)
    wait_for(lambda: told(web, SECRET_PATH, alertname="EtcdNoLeader"), "page")
    alertmanager.fire(labels, ended=True)
    ends = wait_for(
        lambda: [body for body in told(web, SECRET_PATH, alertname="EtcdNoLeader") if body["status"] == "resolved"],
        "end",
    )
    assert len(ends) == 1


def test_nothing_of_a_cluster_is_told_under_its_loss_and_all_of_another(alertmanager: Alertmanager, web: Web) -> None:
    down = {"alertname": "KaaSClusterDown", "cluster": "kaas-i", "severity": "critical"}
    below = {"alertname": "ApiServerDown", "cluster": "kaas-i", "severity": "critical"}
    alertmanager.fire(down)
    wait_for(lambda: told(web, SECRET_PATH, alertname="KaaSClusterDown", cluster="kaas-i"), "page about the cluster")
    other = {**below, "cluster": "kaas-j"}
    without = {"alertname": "ThanosReceiveErrors", "severity": "critical"}
    alertmanager.fire(below, other, without)
    wait_for(lambda: state(alertmanager, "inhibitedBy", **below), "silence of what is below")
    wait_for(lambda: told(web, SECRET_PATH, alertname="ApiServerDown", cluster="kaas-j"), "page of another customer")
    wait_for(lambda: told(web, SECRET_PATH, alertname="ThanosReceiveErrors"), "page of the observer")
    assert told(web, SECRET_PATH, alertname="ApiServerDown", cluster="kaas-i") == []


def test_one_page_for_many_clusters(alertmanager: Alertmanager, web: Web) -> None:
    many = {"alertname": "KaaSMassLoss", "severity": "critical", "observer": "observer-1"}
    singles = [{**many, "alertname": "KaaSClusterDown", "cluster": f"kaas-l{number}"} for number in range(6)]
    below = {"alertname": "ApiServerDown", "severity": "critical", "cluster": "kaas-l1", "observer": "observer-1"}
    alertmanager.fire(many)
    wait_for(lambda: told(web, SECRET_PATH, alertname="KaaSMassLoss"), "page")
    elsewhere = {**singles[0], "observer": "observer-2", "cluster": "kaas-k"}
    alertmanager.fire(*singles, below, elsewhere)
    for labels in (*singles, below):
        wait_for(lambda labels=labels: state(alertmanager, "inhibitedBy", **labels), "silence of each")  # type: ignore[misc]
    wait_for(lambda: told(web, SECRET_PATH, cluster="kaas-k"), "page of another observer")
    assert [labels for labels in singles if told(web, SECRET_PATH, cluster=labels["cluster"])] == []


CAUSES: dict[str, dict[str, str]] = {
    "gateway": {"alertname": "ObserverComponentDown", "component": "remote-write-gateway"},
    "receive": {"alertname": "ObserverComponentDown", "component": "thanos-receive"},
    "writes": {"alertname": "RemoteWriteDown", "component": "remote-write-gateway"},
    "query": {"alertname": "ThanosQueryMissesEndpoint", "component": "thanos-query", "store_type": "receive"},
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_told_and_not_what_follows(name: str, alertmanager: Alertmanager, web: Web) -> None:
    observer = {"severity": "critical", "observer": f"away-{name}"}
    cause = {**CAUSES[name], **observer}
    follows = [
        {"alertname": "KaaSClusterDown", "cluster": f"kaas-{name}", **observer},
        {"alertname": "KaaSMassLoss", **observer},
        *([{"alertname": "RemoteWriteGatewayErrors", **observer}] if name != "query" else []),
    ]
    alertmanager.fire(cause, *follows)
    wait_for(lambda: told(web, SECRET_PATH, **cause), "page")
    for labels in follows:
        wait_for(lambda labels=labels: state(alertmanager, "inhibitedBy", **labels), "silence")  # type: ignore[misc]
    assert [labels for labels in follows if told(web, SECRET_PATH, **labels)] == []


def test_another_part_that_is_away_hides_no_cluster(alertmanager: Alertmanager, web: Web) -> None:
    observer = {"severity": "critical", "observer": "other-part"}
    others = [
        {"alertname": "ObserverComponentDown", "component": "thanos-rule", **observer},
        {"alertname": "ThanosQueryMissesEndpoint", "component": "thanos-query", "store_type": "store", **observer},
        {"alertname": "RemoteWriteGatewayErrors", "component": "remote-write-gateway", **observer},
    ]
    alertmanager.fire(*others, {"alertname": "KaaSClusterDown", "cluster": "kaas-op", **observer})
    wait_for(lambda: told(web, SECRET_PATH, alertname="KaaSClusterDown", cluster="kaas-op"), "page about the cluster")


def test_one_page_about_the_importer(alertmanager: Alertmanager, web: Web) -> None:
    observer = {"severity": "critical", "observer": "no-importer", "component": "kaas-metric-importer"}
    cause, follows = (
        {"alertname": "ObserverComponentDown", **observer},
        {"alertname": "KaaSRegistrationsUnknown", **observer},
    )
    alertmanager.fire(cause, follows)
    wait_for(lambda: told(web, SECRET_PATH, **cause), "page")
    wait_for(lambda: state(alertmanager, "inhibitedBy", **follows), "silence")
    assert told(web, SECRET_PATH, **follows) == []


def test_what_is_out_of_service_is_quiet_but_for_its_registration(
    alertmanager: Alertmanager, web: Web, mail: Mail
) -> None:
    cluster = {"cluster": "kaas-w", "observer": "observer-1"}
    phase = {"alertname": "KaaSClusterOutOfService", "severity": "info", "component": "registration", **cluster}
    within = {"alertname": "NodesLost", "severity": "critical", "component": "node", **cluster}
    registration = {"alertname": "KaaSDeletionStuck", "severity": "warning", "component": "registration", **cluster}
    alertmanager.fire(phase, within, registration)
    wait_for(lambda: state(alertmanager, "inhibitedBy", **within), "silence")
    wait_for(lambda: mails(mail, "KaaSDeletionStuck", "kaas-w"), "ticket")
    assert told(web, SECRET_PATH, alertname="NodesLost") == []


def test_a_cluster_that_somebody_deletes_is_a_ticket_and_no_page(
    alertmanager: Alertmanager, web: Web, mail: Mail
) -> None:
    cluster = {"cluster": "kaas-x", "observer": "observer-1"}
    withdrawn = {"alertname": "KaaSClusterWithdrawn", "severity": "warning", "component": "registration", **cluster}
    down = {"alertname": "KaaSClusterDown", "severity": "critical", "component": "agent", **cluster}
    alertmanager.fire(withdrawn, down)
    wait_for(lambda: state(alertmanager, "inhibitedBy", **down), "silence")
    wait_for(lambda: mails(mail, "KaaSClusterWithdrawn", "kaas-x"), "ticket")
    assert told(web, SECRET_PATH, alertname="KaaSClusterDown", cluster="kaas-x") == []


def test_a_warning_waits_while_the_same_is_critical_in_its_cluster(alertmanager: Alertmanager, mail: Mail) -> None:
    critical = {"alertname": "DiskFull", "cluster": "kaas-c", "severity": "critical"}
    warning = {**critical, "severity": "warning"}
    alertmanager.fire(critical, warning, {**warning, "cluster": "kaas-d"}, {**warning, "alertname": "DiskSlow"})
    wait_for(lambda: state(alertmanager, "inhibitedBy", **warning), "silence")
    wait_for(lambda: mails(mail, "DiskFull", "kaas-d"), "ticket of another cluster")
    wait_for(lambda: mails(mail, "DiskSlow", "kaas-c"), "ticket of another alert")
    assert mails(mail, "DiskFull", "kaas-c") == []


def test_without_a_cluster_only_the_same_target_is_the_same(alertmanager: Alertmanager, mail: Mail) -> None:
    critical = {"alertname": "CertificateEnds", "instance": "https://a", "severity": "critical"}
    warning = {**critical, "severity": "warning"}
    alertmanager.fire(critical, warning, {**warning, "instance": "https://b"})
    wait_for(lambda: state(alertmanager, "inhibitedBy", **warning), "silence")
    found = wait_for(lambda: mails(mail, "CertificateEnds"), "ticket of the other one")
    text = found[0].text
    assert "CertificateEnds (warning), https://b" in text
    assert "CertificateEnds (warning), https://a" not in text


def test_outside_of_its_hours_an_sla_does_not_page(alertmanager: Alertmanager, web: Web) -> None:
    bronze = {"alertname": "NodeLost", "cluster": "kaas-b", "severity": "critical", "sla": "bronze"}
    alertmanager.fire(bronze, {**bronze, "cluster": "kaas-s", "sla": "silver"})
    wait_for(lambda: state(alertmanager, "mutedBy", **bronze), "muting")
    wait_for(lambda: told(web, SECRET_PATH, alertname="NodeLost", cluster="kaas-s"), "page of another SLA")
    assert told(web, SECRET_PATH, alertname="NodeLost", cluster="kaas-b") == []


def test_what_is_the_customers_does_not_page(alertmanager: Alertmanager, web: Web, mail: Mail) -> None:
    labels = {"alertname": "TheirPodCrashes", "cluster": "kaas-o", "severity": "critical", "owner": "customer"}
    alertmanager.fire(labels)
    wait_for(lambda: mails(mail, "TheirPodCrashes"), "ticket")
    assert told(web, SECRET_PATH, alertname="TheirPodCrashes") == []


def test_a_customer_reads_of_its_own_alone(alertmanager: Alertmanager, web: Web) -> None:
    labels = {"alertname": "QuotaFull", "cluster": "kaas-a", "severity": "warning"}
    alertmanager.fire({**labels, "customer": "acme"}, {**labels, "cluster": "kaas-z", "customer": "initech"})
    (body,) = wait_for(lambda: told(web, "/acme"), "message")
    assert [alert["labels"]["customer"] for alert in body["alerts"]] == ["acme"]
    # By which the bridge finds the room.
    assert body["receiver"] == "acme"


def test_the_dead_mans_switch_is_told_again_and_again_and_its_end_never(alertmanager: Alertmanager, web: Web) -> None:
    labels = {"alertname": "ObserverWatchdog", "severity": "none", "observer": "observer-1"}
    alertmanager.fire(labels)
    wait_for(lambda: len(told(web, "/beat")) >= 3, "three beats")
    alertmanager.fire(labels, ended=True)
    wait_for(lambda: alertmanager.status(**labels)["state"] == "unknown", "the end")
    assert {body["status"] for body in told(web, "/beat")} == {"firing"}
    assert told(web, SECRET_PATH, alertname="ObserverWatchdog") == []


def test_a_silence_holds_also_after_a_restart(data: dict[str, Any], web: Web, tmp_path: Path) -> None:
    labels = {"alertname": "Known", "cluster": "kaas-q", "severity": "critical"}
    with running_alertmanager(data, tmp_path) as first:
        first.silence(alertname="Known", cluster="kaas-q")
    with running_alertmanager(data, tmp_path) as second:
        second.fire(labels, {**labels, "cluster": "kaas-r"})
        wait_for(lambda: state(second, "silencedBy", **labels), "silence")
        wait_for(lambda: told(web, SECRET_PATH, alertname="Known", cluster="kaas-r"), "page of another cluster")
        assert told(web, SECRET_PATH, alertname="Known", cluster="kaas-q") == []


def test_its_api_shows_no_secret(alertmanager: Alertmanager) -> None:
    shown = json.dumps(alertmanager.call("/api/v2/status"))
    assert "oncall" in shown
    assert [secret for secret in (PASSWORD, TOKEN, SECRET_PATH, "/chat", "/acme") if secret in shown] == []


def test_mail_is_not_sent_to_a_server_that_cannot_prove_who_it_is(
    data: dict[str, Any], mail: Mail, tmp_path: Path
) -> None:
    labels = {"alertname": "Untrusted", "cluster": "kaas-u", "severity": "warning"}
    with running_alertmanager({**data, "smtp_ca": authority("another").pem}, tmp_path) as running:
        running.fire(labels)
        wait_for(lambda: "failed to verify certificate" in (tmp_path / "log").read_text(), "refusal")
    assert mails(mail, "Untrusted") == []


def test_many_alerts_make_one_text_that_can_be_read(alertmanager: Alertmanager, mail: Mail) -> None:
    labels = {"alertname": "PodPending", "cluster": "kaas-n", "severity": "warning"}
    alertmanager.fire(*({**labels, "instance": f"pod-{number:02}"} for number in range(30)))
    found = wait_for(lambda: mails(mail, "PodPending", "(30)"), "ticket")
    text = found[0].text
    assert "pod-19" in text
    assert "pod-20" not in text
    assert "The first 20 of 30." in text.splitlines()


def test_the_operators_own_words_win(data: dict[str, Any], mail: Mail, tmp_path: Path) -> None:
    own = '{{ define "scs.subject" }}Ours: {{ .CommonLabels.alertname }}{{ end }}'
    with running_alertmanager({**data, "extra_templates": {"a.tmpl": own}}, tmp_path) as running:
        running.fire({"alertname": "OwnWords", "severity": "warning"}, annotations=ANNOTATIONS)
        (found,) = wait_for(lambda: mails(mail, "Ours: OwnWords"), "mail")
    # What is not defined anew stays.
    assert f"First action: {ANNOTATIONS['action']}" in found.text
