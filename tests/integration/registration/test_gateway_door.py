# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's certificate and address in a real API server; the tests play the load balancer's part."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from kubernetes.client import AppsV1Api, CoreV1Api
from kubernetes.config import new_client_from_config

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, NotReadyError
from ansible_collections.scs.observability.plugins.module_utils._identity.authorities import secret_text
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.objects import ObjectKey
from ansible_collections.scs.observability.plugins.module_utils._kubernetes.readiness import wait_ready
from ansible_collections.scs.observability.plugins.module_utils._manifests.remote_write_clients import COMPLETE
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway
from ansible_collections.scs.observability.plugins.module_utils._registration import remote_write_clients as clients
from tests import pki
from tests.integration.check_mode import Result, look, run_as_announced
from tests.pki import Made

HOSTNAME = "metrics.example.org"
NAME = "remote-write-gateway"
SERVER = f"{NAME}-server"


def deploy(site: Any, *, check: bool = False, **changes: Any) -> dict[str, Any]:
    params = {
        "namespace": site.observer_namespace,
        "kubeconfig": str(site.observer_kubeconfig),
        "receive_url": "https://thanos-receive.observer.svc:19291/api/v1/receive",
        "hostnames": [HOSTNAME],
        "wait": False,
    }
    return gateway.ensure({**params, **changes}, check)


def deploy_as_announced(site: Any, **changes: Any) -> Result:
    # Check mode cannot know a port that the cluster has not chosen yet, nor an authority that was not made.
    unknown = () if get(site, "Service") else ("ca", "endpoints")

    def call(*, check_mode: bool = False) -> Result:
        result = deploy(site, check=check_mode, **changes)
        return {name: value for name, value in result.items() if name not in unknown}

    return run_as_announced(call, partial(look, site.observer, site.observer_namespace))


def get(site: Any, kind: str, name: str = NAME) -> Any:
    return site.observer.get("apps/v1" if kind == "Deployment" else "v1", kind, name, site.observer_namespace)


def give_address(site: Any, **address: str) -> None:
    api = CoreV1Api(new_client_from_config(str(site.observer_kubeconfig)))
    status = {"status": {"loadBalancer": {"ingress": [address]}}}
    api.patch_namespaced_service_status(NAME, site.observer_namespace, status)


def server(issuer: Made | None = None, *names: str) -> Made:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return pki.make("metrics", issuer, extensions=[usage], names=names or (HOSTNAME,))


def as_secret(site: Any, made: Made, name: str = "from-cert-manager") -> dict[str, Any]:
    data = {"tls.crt": made.pem, "tls.key": made.key_pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": site.observer_namespace},
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }


def mounted(site: Any) -> str:
    volumes = get(site, "Deployment")["spec"]["template"]["spec"]["volumes"]
    return next(str(volume["secret"]["secretName"]) for volume in volumes if volume["name"] == "server")


def checksum(site: Any) -> str:
    annotations: dict[str, str] = get(site, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    return annotations["observability.scs.community/checksum-certificates"]


def test_check_mode_says_what_happens(site: Any) -> None:
    namespace = site.observer_namespace
    assert deploy_as_announced(site)["changed"]
    assert deploy_as_announced(site)["changes"] == []
    # What somebody took away, changed and left
    labels = get(site, "ServiceAccount")["metadata"]["labels"]
    with new_client_from_config(str(site.observer_kubeconfig)) as other:
        core, apps = CoreV1Api(other), AppsV1Api(other)
        core.delete_namespaced_service(NAME, namespace)
        core.delete_namespaced_config_map(clients.NAME, namespace)
        core.delete_namespaced_secret(SERVER, namespace)
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "left-over", "labels": labels}})
        limits = [{"op": "remove", "path": "/spec/template/spec/containers/0/resources"}]
        apps.patch_namespaced_deployment(NAME, namespace, limits)
    assert deploy_as_announced(site)["changes"] == [
        f"create v1 ConfigMap {namespace}/{clients.NAME}",
        f"create v1 Secret {namespace}/{SERVER}",
        f"create v1 Service {namespace}/{NAME}",
        f"delete v1 ConfigMap {namespace}/left-over",
        f"update apps/v1 Deployment {namespace}/{NAME}",
    ]
    assert deploy_as_announced(site)["changes"] == []
    assert deploy_as_announced(site, state="absent")["changed"]
    assert deploy_as_announced(site, state="absent")["changes"] == []


class TestCertificate:
    def test_the_operators_own_takes_the_place_of_ours_and_goes_again(self, site: Any) -> None:
        deploy(site)
        before = checksum(site)
        authority = pki.authority("Example")
        made = server(authority)
        own = {"certificate": made.pem + authority.pem, "private_key": made.key_pem}
        result = deploy_as_announced(site, **own)
        assert result["ca"] is None
        assert f"update v1 Secret {site.observer_namespace}/{SERVER}" in result["changes"]
        assert made.key_pem[40:80] not in str(result)
        assert secret_text(get(site, "Secret", SERVER), "tls.crt") == made.pem + authority.pem
        assert checksum(site) != before
        assert deploy(site, **own)["changes"] == []

        result = deploy(site)
        assert result["ca"]
        restored = secret_text(get(site, "Secret", SERVER), "tls.crt") or ""
        issuer = x509.load_pem_x509_certificate(result["ca"].encode())
        x509.load_pem_x509_certificate(restored.encode()).verify_directly_issued_by(issuer)

    def test_a_secret_of_somebody_else_is_used_followed_and_left(self, site: Any) -> None:
        deploy(site)
        first, second = server(), server()
        site.observer.create(as_secret(site, first))
        own = {"certificate_secret": "from-cert-manager"}
        result = deploy(site, **own)
        assert f"delete v1 Secret {site.observer_namespace}/{SERVER}" in result["changes"]
        assert mounted(site) == "from-cert-manager"
        assert deploy(site, **own)["changes"] == []
        # HAProxy loads what was renewed, without another pod.
        site.observer.apply(as_secret(site, second), force=True)
        assert deploy(site, **own)["changes"] == []
        deploy(site, state="absent")
        assert secret_text(get(site, "Secret", "from-cert-manager"), "tls.crt") == second.pem

    def test_a_secret_that_cannot_work_is_refused(self, site: Any) -> None:
        with pytest.raises(InputError, match=f"there is no Secret {site.observer_namespace}/missing") as refused:
            deploy(site, certificate_secret="missing")
        assert refused.value.parameter == "certificate_secret"
        deploy(site)
        other = as_secret(site, server(None, "other.example.org"), "other")
        empty = {**other, "metadata": {**other["metadata"], "name": "empty"}, "type": "Opaque", "data": {}}
        for secret, text in ((other, f"does not cover {HOSTNAME}"), (empty, "lacks tls.crt or tls.key")):
            site.observer.create(secret)
            with pytest.raises(InputError, match=text) as refused:
                deploy(site, certificate_secret=secret["metadata"]["name"])
            assert refused.value.parameter == "certificate_secret"
        assert mounted(site) == SERVER

    def test_one_that_is_due_is_announced(self, site: Any) -> None:
        now = datetime.now(UTC)
        made = pki.make("metrics", names=[HOSTNAME], start=now - timedelta(days=90), end=now + timedelta(days=5))
        result = deploy(site, certificate=made.pem, private_key=made.key_pem)
        assert any("certificate expires on" in text for text in result["warnings"])


class TestAddress:
    def test_a_load_balancer(self, site: Any) -> None:
        wanted = {
            "service_type": "LoadBalancer",
            "service_annotations": {"loadbalancer.openstack.org/proxy-protocol": "false"},
            "load_balancer_class": "example.org/octavia",
            "load_balancer_ip": "192.0.2.10",
            "load_balancer_source_ranges": ["192.0.2.0/24", "2001:db8::/32"],
        }
        result = deploy(site, hostnames=[], **wanted)
        assert (result["endpoints"]["external"], result["addresses"], result["warnings"]) == (None, [], [])
        service = get(site, "Service")
        assert service["metadata"]["annotations"] == wanted["service_annotations"]
        assert service["spec"]["loadBalancerClass"] == wanted["load_balancer_class"]
        assert service["spec"]["loadBalancerIP"] == wanted["load_balancer_ip"]
        assert service["spec"]["loadBalancerSourceRanges"] == wanted["load_balancer_source_ranges"]

        give_address(site, ip="192.0.2.10")
        for check in (True, False):
            result = deploy(site, check=check, hostnames=[], **wanted)
            assert result["changes"] == []
            assert result["endpoints"]["external"] == "https://192.0.2.10/api/v1/receive"
            assert result["addresses"] == ["192.0.2.10"]
            assert "192.0.2.10, which its certificate does not cover" in result["warnings"][0]
        result = deploy(site, hostnames=[HOSTNAME, "192.0.2.10"], **wanted)
        assert result["endpoints"]["external"] == f"https://{HOSTNAME}/api/v1/receive"
        assert result["warnings"] == []

        # What is no longer said is no longer there.
        deploy(site)
        service = get(site, "Service")
        assert service["spec"]["type"] == "ClusterIP"
        assert "annotations" not in service["metadata"]
        assert {"loadBalancerIP", "loadBalancerSourceRanges"} & set(service["spec"]) == set()

    def test_its_address_is_waited_for(self, site: Any) -> None:
        deploy(site, service_type="LoadBalancer")
        key = ObjectKey("v1", "Service", site.observer_namespace, NAME)
        with pytest.raises(NotReadyError, match="no load balancer has given it an address"):
            wait_ready(site.observer, [key], 0.2)
        later = threading.Timer(0.5, give_address, [site], {"hostname": "lb.example.org"})
        later.start()
        wait_ready(site.observer, [key], 30)
        later.join()
        assert deploy(site, service_type="LoadBalancer")["addresses"] == ["lb.example.org"]

    def test_a_node_port_that_the_cluster_chose(self, site: Any) -> None:
        result = deploy(site, service_type="NodePort")
        port = get(site, "Service")["spec"]["ports"][0]["nodePort"]
        assert result["endpoints"]["external"] == f"https://{HOSTNAME}:{port}/api/v1/receive"
        assert deploy(site, service_type="NodePort")["changes"] == []

    def test_a_cluster_ip_is_reached_from_within_only(self, site: Any) -> None:
        assert deploy(site)["endpoints"] == {
            "remote_write": f"https://{NAME}.{site.observer_namespace}.svc/api/v1/receive",
            "external": None,
        }


class TestClients:
    """Who may write: what onboarding and the gateway make of the registrations."""

    def entries(self, site: Any) -> dict[str, str]:
        return dict(get(site, "ConfigMap", clients.NAME)["data"])

    def issued(self, site: Any) -> str:
        return str(site.record()["status"]["certificate"]["fingerprint"])

    def test_a_cluster_is_let_in_when_it_is_registered_and_no_longer_when_it_leaves(self, site: Any) -> None:
        deploy(site)
        assert self.entries(site) == {COMPLETE: "true"}
        announced = f"update v1 ConfigMap {site.observer_namespace}/{clients.NAME}"
        for check in (True, False):
            assert announced in site.register(check=check)["changes"]
        assert self.entries(site) == {COMPLETE: "true", site.name: f"active {self.issued(site)}"}
        assert site.register()["changes"] == []
        assert deploy(site)["changes"] == []
        for check in (True, False):
            assert announced in site.deregister(check=check)["changes"]
        assert self.entries(site) == {COMPLETE: "true"}

    def test_an_observer_of_former_times_lets_in_all_who_are_registered(self, site: Any) -> None:
        assert not [change for change in site.register()["changes"] if clients.NAME in change]
        made = f"create v1 ConfigMap {site.observer_namespace}/{clients.NAME}"
        for check in (True, False):
            assert made in deploy(site, check=check)["changes"]
        assert self.entries(site) == {COMPLETE: "true", site.name: f"active {self.issued(site)}"}
        assert site.register()["changes"] == []

    def test_what_somebody_changed_becomes_again_what_is_registered(self, site: Any, other_manager: Any) -> None:
        deploy(site)
        site.register()
        good = self.entries(site)
        other_manager({site.name: "suspended " + "0" * 64, "intruder": "active " + "1" * 64, COMPLETE: None})
        announced = [f"update v1 ConfigMap {site.observer_namespace}/{clients.NAME}"]
        for check in (True, False):
            assert deploy(site, check=check)["changes"] == announced
        assert self.entries(site) == good
        # A registration repairs its own.
        other_manager({site.name: None})
        assert site.register()["changes"] == announced
        assert self.entries(site) == good

    def test_registrations_of_another_observer_are_its_own(self, site: Any) -> None:
        site.register()
        elsewhere = f"{site.observer_namespace}-b"
        deploy(site, namespace=elsewhere)
        data = site.observer.get("v1", "ConfigMap", clients.NAME, elsewhere)["data"]
        assert data == {COMPLETE: "true"}

    def test_without_the_gateway_nothing_of_it_is_left(self, site: Any) -> None:
        deploy(site)
        deploy(site, state="absent")
        assert get(site, "ConfigMap", clients.NAME) is None
        for kind in ("Role", "RoleBinding"):
            assert site.observer.get("rbac.authorization.k8s.io/v1", kind, NAME, site.observer_namespace) is None
        # And a cluster leaves all the same.
        site.register()
        site.deregister()


@pytest.fixture
def other_manager(site: Any) -> Callable[[dict[str, str | None]], None]:
    """Somebody else, who changes the ConfigMap by hand."""

    def change(data: dict[str, str | None]) -> None:
        api = CoreV1Api(new_client_from_config(str(site.observer_kubeconfig)))
        api.patch_namespaced_config_map(clients.NAME, site.observer_namespace, {"data": data})

    return change
