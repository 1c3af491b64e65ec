# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays, roles and modules with ansible-core 2.18 and what OSISM's container has: no boto3, no kubernetes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ansible_collections.scs.observability.plugins.module_utils._iaas.record import registered_with
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration import (
    EXTRAS,
    KEYS,
    KOLLA,
    PLAYBOOK,
)
from ansible_collections.scs.observability.plugins.module_utils._osism.yaml_text import YamlText
from tests import osism_repository
from tests.integration.api_server import ApiServer
from tests.integration.osism.conftest import Osism
from tests.integration.osism.kolla import (
    build_image,
    docker,
    kolla_prometheus,
    needs_engine,
    sidecar_inventory,
    sidecar_of,
)
from tests.integration.processes import free_port
from tests.secrets_in_log import leaks

HOST = "testbed-manager"
REGISTERED = "manager-of-the-testbed"
# Without a query: nothing is asked whether the name has metrics.
NAMESPACE = "osism-configuration"


VAULT = "password-of-the-vault"


def configure(osism: Osism, root: Path, *options: str, status: int = 0, **others: Any) -> str:
    """What the playbook printed that writes into a configuration repository."""
    variables = {
        "ansible_python_interpreter": str(osism.python),
        "osism_configuration_path": str(root),
        "osism_configuration_region": "RegionOne",
        "osism_configuration_pull_addresses": {HOST: "192.0.2.5:10901"},
        "osism_configuration_upload": True,
        "osism_configuration_sidecar": {"osism_thanos_sidecar_bucket_name": "metrics"},
        "osism_configuration_sidecar_references": {"osism_thanos_sidecar_bucket_secret_key": "bucket_secret_key"},
        **others,
    }
    file = osism.home / "variables.yml"
    file.write_text(yaml.safe_dump(variables))
    play = ("ansible-playbook", "--extra-vars", f"@{file}", *options, "scs.observability.osism_configuration")
    return osism.run(*play, status=status)


def changed(output: str, host: str = "localhost") -> int:
    (found,) = re.findall(rf"^{host} +: .*changed=(\d+)", output, flags=re.MULTILINE)
    return int(found)


def test_the_playbook_registers_writes_says_what_to_call_and_changes_nothing_again(
    osism: Osism, api_server: ApiServer, tmp_path: Path
) -> None:
    assert "[core 2.18." in osism.run("ansible", "--version")
    root = osism_repository.make(tmp_path / "configuration")
    before = osism_repository.contents(root)
    writes = {
        "osism_configuration_remote_write_hosts": [HOST],
        "osism_configuration_remote_write_url": "https://metrics.example.com/api/v1/receive",
        "osism_configuration_vault_password": VAULT,
        "osism_configuration_observer_kubeconfig": str(api_server.kubeconfig()),
        "osism_configuration_observer_namespace": NAMESPACE,
        "osism_configuration_registrations": {HOST: REGISTERED},
    }

    said = configure(osism, root, "--check", "--diff", **writes)
    assert osism_repository.contents(root) == before
    done = configure(osism, root, "--diff", "-vvv", **writes)
    assert changed(said) == changed(done) == 2
    shown = done[done.index("--- ") :]
    assert "+  region: RegionOne" in shown
    assert '+osism_thanos_sidecar_bucket_secret_key: "{{ bucket_secret_key }}"' in shown
    told = done[
        done.index('"commands": [', done.index("TASK [scs.observability.osism_configuration : Tell what to call")) :
    ]
    order = ["osism apply configuration", "osism apply -a reconfigure prometheus", f"osism apply {PLAYBOOK}"]
    places = [told.index(command) for command in order]
    assert places == sorted(places)

    # What was registered is what is in the repository, and the key is there for who has the password alone.
    secrets = api_server.client().list("v1", "Secret", namespace=NAMESPACE)
    assert leaks(said + done, {"items": secrets}) == []
    assert VAULT not in said + done
    (key,) = YamlText(KOLLA, (root / KOLLA).read_text()).data[KEYS].values()
    (osism.home / "vault").write_text(f"{VAULT}\n")
    (osism.home / "key").write_text(key.text)
    opened = osism.run("ansible-vault", "decrypt", "--vault-password-file", "vault", "--output", "-", "key")
    opened = opened[opened.index("-----BEGIN") :]
    certificate = x509.load_pem_x509_certificate((root / EXTRAS / f"{HOST}.crt").read_bytes())
    public = serialization.load_pem_private_key(opened.encode(), None).public_key()
    assert public == certificate.public_key()
    assert certificate.subject.rfc4514_string().split(",")[0] == f"CN={REGISTERED}"

    assert changed(configure(osism, root, **writes)) == 0
    assert "DEPRECATION" not in said + done
    assert changed(configure(osism, root, osism_configuration_state="absent")) == 1
    assert osism_repository.contents(root) == before


def test_nobody_is_registered_for_a_repository_that_cannot_have_it(
    osism: Osism, api_server: ApiServer, tmp_path: Path
) -> None:
    root = osism_repository.make(tmp_path / "configuration")
    (root / KOLLA).write_text((root / KOLLA).read_text() + "# not committed\n")
    secrets = api_server.client().list("v1", "Secret", namespace=NAMESPACE)
    said = configure(
        osism,
        root,
        status=2,
        osism_configuration_pull=False,
        osism_configuration_upload=False,
        osism_configuration_remote_write_hosts=["control-2"],
        osism_configuration_remote_write_url="https://metrics.example.com/api/v1/receive",
        osism_configuration_vault_password=VAULT,
        osism_configuration_observer_kubeconfig=str(api_server.kubeconfig()),
        osism_configuration_observer_namespace=NAMESPACE,
    )
    assert f"{KOLLA} has local changes that are in no commit" in said
    assert api_server.client().list("v1", "Secret", namespace=NAMESPACE) == secrets


def test_osism_finds_the_playbook_in_the_collection_beside_it(osism: Osism, collections: Path, tmp_path: Path) -> None:
    root = osism_repository.make(tmp_path / "configuration")
    configure(osism, root)
    custom = root / "environments/custom"
    vendored = custom / "collections/ansible_collections/scs/observability"
    tree = collections / "ansible_collections/scs/observability"
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "roles"):
        source = tree / name
        target = vendored / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    # As osism apply does it: in this folder, with these files, and no other path to collections.
    inventory = tmp_path / "hosts"
    inventory.write_text(
        "[monitoring]\ntestbed-manager\n" + "".join(path.read_text() for path in root.glob("inventory/*"))
    )
    environment = Osism(osism.folder, osism.home, {"ANSIBLE_CONFIG": str(root / "environments/ansible.cfg")})
    files = [root / "environments" / name for name in ("configuration.yml", "secrets.yml")]
    files += [custom / name for name in ("secrets.yml", "images.yml", "configuration.yml")]
    listed = environment.run(
        "ansible-playbook",
        *("--inventory", inventory, "--list-hosts", "--list-tasks"),
        *(argument for path in files for argument in ("--extra-vars", f"@{path}")),
        custom / "playbook-scs-observability-sidecar.yml",
        cwd=custom,
    )
    assert HOST in listed
    assert "osism_thanos_sidecar : " in listed


def test_the_sidecar_comes_stays_and_goes(osism: Osism, api_server: ApiServer, tmp_path: Path) -> None:
    needs_engine()
    (tmp_path / "image").mkdir()
    build_image(tmp_path / "image")
    # No DNS label, as some of OSISM's hosts
    host, port = "CTL_01.local", free_port()
    with kolla_prometheus(tmp_path) as prometheus:
        name = sidecar_of(prometheus)
        inventory = sidecar_inventory(
            prometheus,
            tmp_path,
            osism.python,
            api_server.kubeconfig(),
            "osism",
            host=host,
            grpc_port=port,
            pull_address=f"127.0.0.1:{port}",
        )
        play = ("ansible-playbook", "--inventory", inventory, "scs.observability.osism_sidecar")
        try:
            assert changed(osism.run(*play), host) == 2
            assert json.loads(docker("inspect", name))[0]["State"]["Running"]
            assert [item.name for item in registered_with(api_server.client(), "osism")] == ["ctl-01-local"]
            assert changed(osism.run(*play), host) == 0
            assert changed(osism.run(*play, "--extra-vars", "osism_thanos_sidecar_state=absent"), host) == 2
            assert docker("ps", "--all", "--quiet", f"--filter=name={name}") == ""
        finally:
            docker("rm", "--force", name, check=False)


def test_what_needs_a_package_that_osism_has_not_says_so(osism: Osism) -> None:
    arguments = "name=metrics endpoint=http://127.0.0.1:1 access_key=the-access-key secret_key=the-secret-key"
    said = osism.run(
        "ansible",
        *("localhost", "--extra-vars", f"ansible_python_interpreter={osism.python}"),
        *("--module-name", "scs.observability.bucket", "--args", arguments),
        status=2,
    )
    assert re.search(r"the Python library boto(3|core) is needed", said)
    assert "pip install boto" in said
