# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret in the wrong place is refused, and is not in what Ansible shows of the arguments."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.pki import authority

SECRET = "swordfish"
URL = f"http://admin:{SECRET}@2@thanos-query:10902"
OBJSTORE = {"type": "S3", "config": {"bucket": "metrics", "endpoint": "s3.example.org"}}
KEYS = {"access_key": "key", "secret_key": SECRET}
KEY = authority("any").key_pem

# As operators write it
CONTAINERD = f"""
[plugins."io.containerd.grpc.v1.cri".registry.configs."registry.example.org".auth]
  username = "admin"
  password = "{SECRET}"
"""

MISPLACED: list[tuple[str, dict[str, Any], str | None]] = [
    ("thanos_component", {"component": "store", "objstore": {"type": "S3", "config": KEYS}}, "objstore"),
    (
        "thanos_component",
        {"component": "store", "objstore": {"type": "S3", "config": {**KEYS, "session_token": "swordfish-2"}}},
        "objstore",
    ),
    (
        "thanos_component",
        {
            "component": "store",
            "objstore": OBJSTORE,
            "cache": {"type": "REDIS", "config": {"addr": "redis:6379", "password": SECRET}},
        },
        "cache",
    ),
    # Refused for something else
    ("thanos_component", {"component": "store", "service_type": "x", "objstore": {"config": KEYS}}, "service_type"),
    ("thanos_component", {"component": "query_frontend", "endpoints": [URL]}, "endpoints"),
    ("thanos_component", {"component": "query", "endpoints": [URL]}, "endpoints"),
    (
        "thanos_component",
        {"component": "rule", "endpoints": ["http://thanos-query:10902"], "alertmanagers": [URL]},
        "alertmanagers",
    ),
    ("thanos_component", {"component": "store", "objstore": OBJSTORE, "objstore_ca": KEY}, "objstore_ca"),
    ("remote_write_gateway", {"receive_url": URL}, "receive_url"),
    ("bucket", {"name": "metrics", "endpoint": URL, "access_key": "a", "secret_key": "b"}, "endpoint"),
    ("agent_registration", {"name": "kaas-1", "kubeconfig": "/none", "remote_write_url": URL}, "remote_write_url"),
    # Told together with what else is wrong
    ("osism_thanos_sidecar", {"objstore": {"type": "S3", "config": KEYS}, "tls_client_ca": KEY}, "tls_client_ca"),
    # Of the sidecar's role: by its name, by what is in it, however deep, and by the name of something in it
    *(
        (
            "osism_configuration",
            {"path": "/none", "region": "north", "pull": False, "upload": True, "sidecar": given},
            "sidecar",
        )
        for given in (
            {"osism_thanos_sidecar_prometheus_password": SECRET},
            {"osism_thanos_sidecar_bucket_secret_key": SECRET},
            {"osism_thanos_sidecar_observer_kubeconfig": f"users:\n- user: {{token: {SECRET}}}\n"},
            {"osism_thanos_sidecar_resources": {"limits": [{"token": SECRET}]}},
            {"osism_thanos_sidecar_anything": {"text": KEY}},
            json.dumps({"osism_thanos_sidecar_prometheus_password": SECRET}),
        )
    ),
    # Not even where something else ends the module before it
    ("osism_configuration", {"path": "/none", "state": "x", "sidecar": {"any_password": SECRET}}, None),
    # In its place, and hidden all the same
    ("kind_cluster", {"name": "A", "kubeconfig": "/none", "config": {"containerdConfigPatches": [CONTAINERD]}}, "name"),
]


@pytest.mark.parametrize(("name", "arguments", "parameter"), MISPLACED)
def test_a_misplaced_secret_is_refused_and_not_shown(
    name: str, arguments: dict[str, Any], parameter: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"ansible_collections.scs.observability.plugins.modules.{name}")
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    shown = capsys.readouterr().out
    result = json.loads(shown)
    assert (result["failed"], result.get("parameter")) == (True, parameter)
    assert parameter is None or "module_args" in result["invocation"]
    assert SECRET not in shown
    assert KEY.splitlines()[1] not in shown


def test_what_is_no_secret_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module("ansible_collections.scs.observability.plugins.modules.thanos_component")
    arguments = {"component": "query_frontend", "endpoints": ["http://thanos-query@elsewhere"], "objstore": OBJSTORE}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    shown = json.loads(capsys.readouterr().out)["invocation"]["module_args"]
    assert {name: shown[name] for name in arguments} == arguments
