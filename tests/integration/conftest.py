# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that all integration tests share: each is started once, by the first test that needs it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest

from ansible_collections.scs.observability.plugins.module_utils._kubernetes.client import KubernetesClient
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster
from tests.botocore_models import models_are_read_once
from tests.integration.api_server import ApiServer, running_cluster
from tests.integration.openstack_servers import OpenStack, running_openstack
from tests.integration.s3_server import S3Server, running_s3_server

__all__ = ["models_are_read_once"]

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
# Of the files that take longest, roughly
SECONDS = {
    "artifact/test_artifact.py": 139,
    "observer/test_observer_role.py": 136,
    "apiserver/test_prometheus_operator.py": 106,
    "thanos/test_receive_goes.py": 105,
    "thanos/test_faults.py": 81,
    "rules/test_lifecycle.py": 73,
    "registration/test_registration.py": 64,
    "iaas/test_iaas_registration.py": 63,
    "rules/test_alerts.py": 54,
    "openstack/test_cloud.py": 54,
    "registration/test_several_observers.py": 44,
    "apiserver/test_thanos_component.py": 37,
    "osism/test_thanos_sidecar.py": 36,
    "observer/test_prometheus_role.py": 34,
    "observer/test_erasure.py": 33,
    "alertmanager/test_notifications.py": 33,
    "osism/test_osism.py": 30,
    "thanos/test_long_time.py": 28,
    "registration/test_clusters.py": 26,
    "thanos/test_agents_go_wrong.py": 25,
    "rules/test_bucket_away.py": 25,
    "thanos/test_gateway_clients.py": 25,
    "playbooks/test_clusters.py": 23,
    "registration/test_freshness.py": 22,
    "osism/test_kolla.py": 22,
    "thanos/test_gateway.py": 20,
    "osism/test_testbed.py": 19,
    "thanos/test_own_authorities.py": 19,
    "observer/test_observer_info.py": 18,
    "s3/test_bucket.py": 18,
    "registration/test_agent_reload.py": 17,
    "thanos/test_limits.py": 17,
    "osism/test_role.py": 16,
}
SECONDS_OF_OTHERS = 6

# For the processes that tests start, see tests/bytecode/sitecustomize.py
BYTECODE = CHECKOUT / ".build" / "bytecode"
BYTECODE.mkdir(parents=True, exist_ok=True)
os.environ["BYTECODE_CACHE"] = str(BYTECODE)
os.environ["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT / "tests" / "bytecode"), os.environ["PYTHONPATH"]])


def _seconds(path: Path) -> int:
    return SECONDS.get(str(path.relative_to(HERE)), SECONDS_OF_OTHERS)


# The longest first: one that begins last keeps a process busy alone.
FILES = sorted(HERE.rglob("test_*.py"), key=lambda path: (-_seconds(path), path))


def _halves() -> dict[Path, str]:
    """Which of two processes runs a file. Files in one share servers, so it is always the same, whoever is faster."""
    halves, loads = {}, {"first": 0, "second": 0}
    for path in FILES:
        half = min(loads, key=lambda name: loads[name])
        halves[path] = half
        loads[half] += _seconds(path)
    return halves


HALVES = _halves()


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.xdist_group(HALVES[item.path]))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {path: number for number, path in enumerate(FILES)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_cluster(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def openstack_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStack]:
    with running_openstack(tmp_path_factory.mktemp("openstack")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def admin(api_server: ApiServer) -> KubernetesClient:
    return api_server.client()


@pytest.fixture(scope="module")
def no_registrations(admin: KubernetesClient) -> Iterator[None]:
    """Leave the API server to other files' tests without clusters, whose samples they would miss."""
    yield
    for record in admin.list(kaas_cluster.API_VERSION, kaas_cluster.KIND):
        admin.delete(kaas_cluster.API_VERSION, kaas_cluster.KIND, record["metadata"]["name"])


_NUMBERS = itertools.count(1)


@pytest.fixture
def new_namespace() -> str:
    """Return a name that no namespace has yet."""
    return f"test-{next(_NUMBERS)}"


@pytest.fixture
def namespace(admin: KubernetesClient, new_namespace: str) -> str:
    """Return a namespace that somebody else made."""
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": new_namespace}})
    return new_namespace


@pytest.fixture
def other(api_server: ApiServer) -> Iterator[kubernetes.client.ApiClient]:
    """Return the official client, in the part of everybody else who writes to the cluster."""
    with kubernetes.config.new_client_from_config(str(api_server.kubeconfig())) as client:
        yield client
