# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OSISM configuration repository as a provider has it: several people's YAML, vaulted values, overlays."""

from __future__ import annotations

import subprocess
from pathlib import Path

KOLLA_FILE = "environments/kolla/configuration.yml"
KOLLA = """\
---
##########################################################
# loadbalancer

kolla_internal_vip_address: 192.0.2.9
kolla_internal_fqdn: api-int.cloud.example.com
kolla_external_fqdn: api.cloud.example.com
kolla_enable_tls_external: "yes"   # the certificate is in certificates/

##########################################################
# openstack

enable_ironic: "no"
neutron_ovn_availability_zones: [ nova ]
horizon_keystone_multidomain: True

keystone_identity_providers:
  - name: "sso"
    protocol: openid
    metadata_folder: "{{ node_custom_config }}/keystone/federation/oidc/metadata"

##########################################################
# prometheus

prometheus_external_labels:
  # the old dashboards select by this one
  infrastructure: example

# three weeks were not enough
prometheus_cmdline_extras: >-
  --storage.tsdb.retention.time=30d
  --web.page-title={{ kolla_external_fqdn }}

prometheus_basic_auth_users_extra:
- username: capacity
  password: "{{ capacity_password }}"
  enabled: true

##########################################################
# other

smtp_password: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  36313233343536373839303132333435363738393031323334353637383930313233343536373839
  3961

cinder_volume_extra_volumes:
    - "/opt/driver:/var/lib/kolla/venv/lib/python{{ distro_python_version }}/site-packages/driver"
"""

CUSTOM = """\
---
# what our own playbooks need
cronjobs_hour: 4
"""

OWN_OVERLAY = """\
remote_write:
  - name: capacity
    url: https://capacity.example.com/write
scrape_configs:
  - job_name: ipmi
    static_configs:
      - targets: ["192.0.2.20:9290"]
"""

FILES = {
    "environments/ansible.cfg": "[defaults]\nhost_key_checking = false\n",
    "environments/configuration.yml": "---\nopenstack_version: 2025.1\n",
    "environments/secrets.yml": '---\noperator_password: "{{ vault_operator_password }}"\n',
    "environments/kolla/configuration.yml": KOLLA,
    "environments/kolla/images.yml": '---\nprometheus_tag: "2025.1"\n',
    "environments/kolla/secrets.yml": "---\nprometheus_password: admins-password\ncapacity_password: capacitys\n",
    "environments/kolla/files/overlays/prometheus/prometheus.yml.d/60-own.yml": OWN_OVERLAY,
    "environments/custom/configuration.yml": CUSTOM,
    "environments/custom/secrets.yml": "---\ncronjobs_password: x\n",
    "environments/custom/images.yml": "---\ncronjobs_tag: latest\n",
    "environments/custom/playbook-cronjobs.yml": "---\n- name: Cronjobs\n  hosts: manager\n  tasks: []\n",
    "inventory/20-roles": "[prometheus:children]\nmonitoring\n",
}


def make(root: Path, commit: bool = True) -> Path:
    """Write the repository into a folder, and commit it."""
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if commit:
        git(root, "init", "--quiet", "--initial-branch=main")
        save(root)
    return root


def save(root: Path) -> None:
    """Commit what is there."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "State")


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=operator", "-c", "user.email=operator@example.com")
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def contents(root: Path) -> dict[str, str]:
    """All files by path, without git's."""
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and ".git" not in path.parts]
    return {path.relative_to(root).as_posix(): path.read_text() for path in paths}
