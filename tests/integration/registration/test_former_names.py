# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A name is remembered with whose it was, and not given to another customer: against real API servers."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import node_exporter, remote_write_clients
from ansible_collections.scs.observability.plugins.module_utils._registration import former
from ansible_collections.scs.observability.plugins.module_utils._registration.former import Former
from ansible_collections.scs.observability.plugins.module_utils._registration.record import Registration, timestamp
from tests.integration.processes import free_port

OTHER_UID = "0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e"
OTHER = Former(OTHER_UID, "Example Shop", "2026-02-01T10:00:00Z")


@pytest.fixture
def place(site: Any) -> None:
    """The namespaces of the agent are somebody else's and stay: no controller ends one here."""
    for name in (site.namespace, node_exporter.namespace_of(site.namespace)):
        site.kaas.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


@pytest.mark.usefixtures("place")
def test_whose_a_name_was_is_remembered(site: Any) -> None:
    site.register(customer="Example Shop")
    assert former.find(site.observer, site.observer_namespace, site.name) is None
    site.deregister(check=True)
    assert former.find(site.observer, site.observer_namespace, site.name) is None
    before = timestamp(datetime.now(UTC))
    site.deregister()
    found = former.find(site.observer, site.observer_namespace, site.name)
    assert found is not None
    assert (found.cluster_uid, found.customer) == (site.kaas_uid, "Example Shop")
    assert before <= found.until <= timestamp(datetime.now(UTC))
    # It was that cluster's.
    assert site.register(customer="Another")["changed"]


@pytest.mark.usefixtures("place")
def test_another_cluster_is_refused_before_anything_is_touched(site: Any) -> None:
    site.register(customer="Example Shop")
    site.deregister()
    former.remember(site.observer, site.observer_namespace, site.name, OTHER)
    for check in (True, False):
        with pytest.raises(InputError) as raised:
            site.register(check=check, customer="Other Shop")
        assert raised.value.parameter == "name"
        # Nobody can see here whether anything is left, which is no reason to give it away.
        assert "cannot be seen" in str(raised.value)
        assert "erase: true" in str(raised.value)
    assert site.record() is None
    assert site.register(customer="Example Shop")["changed"]
    # A registration that is there is not asked.
    assert site.register(customer="Other Shop")["changed"]


def test_many_runs_remember_side_by_side(site: Any) -> None:
    site.register()
    names = [f"cluster-{number}" for number in range(20)]
    one_by_one = [partial(former.remember, site.observer, site.observer_namespace, name, OTHER) for name in names]
    site.observer.parallel(one_by_one)
    find = partial(former.find, site.observer, site.observer_namespace)
    assert [find(name) for name in names] == [OTHER] * len(names)
    former.forget(site.observer, site.observer_namespace, names[0])
    assert find(names[0]) is None
    assert find(names[1]) == OTHER


def test_a_cluster_that_is_gone_is_let_in_no_longer(site: Any, kaas_server: Any) -> None:
    """Its agent may live, when only the way to its API server is broken."""
    site.register(customer="Example Shop")
    clients = remote_write_clients.config_map(site.observer_namespace, {}, [Registration.of(site.record())])
    site.observer.apply(clients)
    broken = str(kaas_server.kubeconfig(server=f"https://127.0.0.1:{free_port()}"))
    result = site.deregister(kubeconfig=broken, force=True)
    assert result["left"]
    live = site.observer.get("v1", "ConfigMap", remote_write_clients.NAME, site.observer_namespace)
    assert site.name not in live["data"]
    assert former.find(site.observer, site.observer_namespace, site.name).customer == "Example Shop"
    assert site.record() is None


def test_an_observer_that_is_gone_remembers_nothing(site: Any) -> None:
    former.remember(site.observer, "no-such-namespace", site.name, OTHER)
    former.forget(site.observer, "no-such-namespace", site.name)


def test_nothing_is_erased_of_a_cluster_that_comes(site: Any) -> None:
    with pytest.raises(InputError) as raised:
        site.register(erase=True)
    assert raised.value.parameter == "erase"
    assert site.record() is None
