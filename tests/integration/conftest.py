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
# From a minute of work on. Files are given out in this order: one that begins last keeps a process busy alone.
LONGEST_FIRST = (
    "artifact/test_artifact.py",
    "observer/test_observer_role.py",
    "openstack/test_cloud.py",
    "playbooks/test_clusters.py",
    "rules/test_lifecycle.py",
    "osism/test_role.py",
    "osism/test_osism.py",
    "osism/test_kolla.py",
    "thanos/test_faults.py",
    "observer/test_prometheus_role.py",
    "apiserver/test_prometheus_operator.py",
    "apiserver/test_thanos_component.py",
    "registration/test_registration.py",
    "registration/test_several_observers.py",
    "registration/test_gateway_door.py",
    "s3/test_bucket.py",
    "rules/test_alerts.py",
    "playbooks/test_reconcile.py",
)

# For the processes that tests start, see tests/bytecode/sitecustomize.py
BYTECODE = CHECKOUT / ".build" / "bytecode"
BYTECODE.mkdir(parents=True, exist_ok=True)
os.environ["BYTECODE_CACHE"] = str(BYTECODE)
os.environ["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT / "tests" / "bytecode"), os.environ["PYTHONPATH"]])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {HERE / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


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
