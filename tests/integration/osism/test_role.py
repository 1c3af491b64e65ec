# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""osism_sidecar.yml as an operator runs it: a host with kolla's Prometheus, a bucket, an observer's API server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import IMPORT_ROOT
from tests.integration.api_server import ApiServer
from tests.integration.osism.kolla import (
    PASSWORD,
    build_image,
    docker,
    kolla_prometheus,
    needs_engine,
    sidecar_inventory,
    sidecar_of,
)
from tests.integration.processes import free_port
from tests.integration.s3_server import S3Server

Run = Callable[..., str]


def changed(output: str) -> int:
    found = re.search(r"changed=(\d+) .*failed=(\d+)", output)
    assert found, output
    return int(found[1])


def test_a_host_is_put_under_observation_stays_and_leaves(api_server: ApiServer, s3: S3Server, tmp_path: Path) -> None:
    needs_engine()
    (tmp_path / "image").mkdir()
    build_image(tmp_path / "image")
    with kolla_prometheus(tmp_path) as prometheus:
        name = sidecar_of(prometheus)
        inventory = sidecar_inventory(
            prometheus,
            tmp_path,
            sys.executable,
            api_server.kubeconfig(),
            "role",
            grpc_port=free_port(),
            # Nobody asks it, so nobody has to reach it; and it has a certificate all the same.
            pull=False,
            upload=True,
            bucket_name="role",
            bucket_endpoint=s3.url,
            bucket_access_key=s3.owner.access_key,
            bucket_secret_key=s3.owner.secret_key,
            bucket_ca=s3.ca.read_text(),
        )

        def play(*options: str, fails: bool = False, **changes: Any) -> str:
            command = [
                *(str(Path(sys.executable).with_name("ansible-playbook")), "--inventory", str(inventory)),
                *("--extra-vars", json.dumps(changes), *options, "scs.observability.osism_sidecar"),
            ]
            environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(IMPORT_ROOT), "ANSIBLE_NOCOLOR": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert (done.returncode != 0) is fails, done.stdout + done.stderr
            return done.stdout + done.stderr

        try:
            refused = play(
                fails=True,
                osism_thanos_sidecar_prometheus_password="wrong",
                osism_thanos_sidecar_http_address="192.0.2.1",
            )
            assert "refuses these credentials" in refused
            assert "192.0.2.1 is not an address of this host" in refused
            refused = play(fails=True, osism_thanos_sidecar_registration="No_Label")
            assert "osism_thanos_sidecar_registration: 'No_Label' is not a DNS label, as which control-1" in refused
            assert api_server.client().get("v1", "Namespace", "role") is None
            assert not (tmp_path / "etc").exists()

            first = play("-vvv", "--diff")
            assert changed(first) >= 2
            key = (tmp_path / "etc" / name / "thanos" / "tls" / "tls.key").read_text()
            secrets = [PASSWORD, s3.owner.secret_key, *key.splitlines()[1:-1]]
            assert [text for text in secrets if text in first] == []

            play(osism_thanos_sidecar_state="absent")
            assert docker("ps", "--all", "--quiet", f"--filter=name={name}") == ""
            assert not (tmp_path / "etc").exists()
        finally:
            docker("rm", "--force", name, check=False)
