#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: osism_configuration
short_description: What the observer needs in an OSISM configuration repository
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Writes into a checkout of an OSISM configuration repository what an observer needs of kolla-ansible's Prometheus,
    and what OSISM needs to run the sidecar. Nothing is deployed; RV(commands) tells what to call then, in this order.
  - In C(environments/kolla/configuration.yml) it sets the external labels C(layer), C(region) and C(replica), what
    uploads need of C(prometheus_cmdline_extras), and a user of Prometheus with its password by reference.
  - In C(environments/kolla/files/overlays/prometheus/) it puts remote write for each host, with the client certificates
    in C(extras/).
  - In C(environments/custom/) it puts a playbook for C(osism apply), the role's variables and what C(ansible-galaxy)
    is to install, and in C(inventory/) the group C(iaas), whose hosts are those of O(group).
  - Only what is set is changed in files of the operator; comments, order, quotes and C(!vault) stay byte for byte.
  - A value that says something else is refused, with both values, and so are files that would be changed and have local
    changes in git, all at once and before anything is written.
  - A record in C(environments/custom/scs-observability.yml) says what was made. O(state=absent) takes back exactly
    that.
  - No secret is written in clear.
extends_documentation_fragment:
  - scs.observability.attributes
requirements:
  - PyYAML
  - git, to see local changes; without it a warning tells that they were not looked for
  - Python 3.11 or newer
options:
  path:
    description: The checkout, the folder with C(environments/) in it, where the module runs.
    type: path
    required: true
  state:
    description:
      - Whether the repository has it.
      - V(absent) takes back what this module made. Values that were changed since are left, with a warning.
    type: str
    choices: [present, absent]
    default: present
  region:
    description:
      - Name of the OpenStack region, the external label C(region).
      - Required when O(state=present).
    type: str
  replica:
    description:
      - The external label C(replica), by which query tells Prometheus servers of one region apart.
      - The name of the host in OSISM's inventory when it is not given.
    type: str
  pull:
    description: Whether the observer asks the sidecar (StoreAPI).
    type: bool
    default: true
  upload:
    description:
      - Whether the sidecar uploads blocks to a bucket. Prometheus must not join blocks then, which
        C(prometheus_cmdline_extras) sees to.
    type: bool
    default: false
  read_user:
    description:
      - A user of Prometheus for the sidecar, which is added to C(prometheus_basic_auth_users_extra).
      - Without it the sidecar's credentials have to be among O(sidecar) and O(sidecar_references).
    type: str
  read_user_variable:
    description: The variable in C(environments/secrets.yml), which you keep encrypted, that has its password.
    type: str
    default: scs_observability_prometheus_password
  pull_addresses:
    description: Where the observer's pods reach the sidecar of each host, C(host:port) by the host's name in OSISM's
      inventory. Required with O(pull).
    type: dict
  remote_write:
    description: Hosts whose Prometheus sends its samples to the observer's gateway, each with a certificate of its own.
    type: list
    elements: dict
    suboptions:
      host:
        description: The name of the host in OSISM's inventory.
        type: str
        required: true
      url:
        description: URL of the gateway.
        type: str
        required: true
      ca:
        description: Certificates in PEM of who signed the gateway's.
        type: str
        required: true
      certificate:
        description: The client certificate in PEM.
        type: str
        required: true
      key:
        description:
          - Its private key, encrypted by ansible-vault with the password of the repository. One in clear is refused.
          - As each encryption gives another text, the key in the repository stays while the certificate is the same.
          - One that was encrypted with a wrong password is replaced with O(force=true), as is each other one then.
        type: str
      key_variable:
        description: In the place of O(remote_write[].key), the variable in C(environments/secrets.yml) that has it.
        type: str
  group:
    description: The group of OSISM's inventory with the hosts that have a Prometheus.
    type: str
    default: prometheus
  sidecar:
    description:
      - Other variables of the role P(scs.observability.osism_thanos_sidecar#role), none of them a secret. One that is,
        or that has a private key or a token in it, is refused.
    type: dict
  sidecar_references:
    description:
      - Variables of the role that are secrets, each with the name of the variable in C(environments/secrets.yml).
    type: dict
  collection:
    description:
      - What C(ansible-galaxy) is to install for this collection, in
        C(environments/custom/collections/requirements.yml), such as the URL of its artifact.
    type: str
    default: scs.observability
  force:
    description:
      - Write over values and files that say something else, also encrypted keys, and go on with local changes in git.
      - What was written over belongs to this module then, and is removed with O(state=absent).
    type: bool
    default: false
seealso:
  - module: scs.observability.osism_thanos_sidecar
  - module: scs.observability.iaas_registration
"""

EXAMPLES = r"""
- name: The observer asks Prometheus through a sidecar, and blocks go to a bucket
  scs.observability.osism_configuration:
    path: ~/osism-configuration
    region: RegionOne
    pull_addresses:
      testbed-manager: 192.0.2.5:10901
    upload: true
    read_user: scs-observability
    sidecar:
      osism_thanos_sidecar_bucket_name: observability-metrics
      osism_thanos_sidecar_bucket_endpoint: https://s3.example.com
      # It has boto3, which OSISM's container has not, and this kubeconfig.
      osism_thanos_sidecar_observer_host: observer-1
      osism_thanos_sidecar_observer_kubeconfig: /etc/observer.kubeconfig
    sidecar_references:
      osism_thanos_sidecar_bucket_access_key: scs_observability_bucket_access_key
      osism_thanos_sidecar_bucket_secret_key: scs_observability_bucket_secret_key
  register: written

- name: Tell what to call then
  ansible.builtin.debug:
    var: written.commands

- name: Prometheus sends to the observer
  scs.observability.osism_configuration:
    path: ~/osism-configuration
    region: RegionOne
    pull: false
    remote_write:
      - host: testbed-manager
        url: https://metrics.observer.example.com/api/v1/receive
        ca: "{{ lookup('ansible.builtin.file', 'gateway-ca.pem') }}"
        certificate: "{{ lookup('ansible.builtin.file', 'client.pem') }}"
        key_variable: scs_observability_remote_write_key

- name: All of it away again
  scs.observability.osism_configuration:
    path: ~/osism-configuration
    state: absent
"""

RETURN = r"""
changes:
  description: What was written, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample:
    - update environments/kolla/configuration.yml
    - create environments/custom/playbook-scs-observability-sidecar.yml
commands:
  description: What to call then, in this order.
  returned: success
  type: list
  elements: str
  sample:
    - osism apply configuration
    - osism reconciler sync
    - osism apply -a reconfigure prometheus
    - osism apply scs-observability-sidecar
secrets:
  description: The variables with secrets that you keep, encrypted, and what each is for.
  returned: success
  type: list
  elements: dict
  sample:
    - variable: scs_observability_prometheus_password
      file: environments/secrets.yml
      purpose: password of Prometheus' user scs-observability
files:
  description: The files that are this module's as a whole.
  returned: success
  type: list
  elements: str
  sample: [environments/custom/playbook-scs-observability-sidecar.yml]
error:
  description: Kind of the error.
  returned: failure
  type: str
  sample: input_error
problems:
  description: Everything that is wrong.
  returned: when more than one thing is
  type: list
  elements: str
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration import secret_texts
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration_repository import ensure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "region": {"type": "str"},
            "replica": {"type": "str"},
            "pull": {"type": "bool", "default": True},
            "upload": {"type": "bool", "default": False},
            "read_user": {"type": "str"},
            "read_user_variable": {"type": "str", "default": "scs_observability_prometheus_password"},
            "pull_addresses": {"type": "dict"},
            "remote_write": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "host": {"type": "str", "required": True},
                    "url": {"type": "str", "required": True},
                    "ca": {"type": "str", "required": True},
                    "certificate": {"type": "str", "required": True},
                    "key": {"type": "str", "no_log": True},
                    "key_variable": {"type": "str", "no_log": False},
                },
            },
            "group": {"type": "str", "default": "prometheus"},
            "sidecar": {"type": "dict"},
            "sidecar_references": {"type": "dict"},
            "collection": {"type": "str", "default": "scs.observability"},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        hidden=secret_texts,
    )
    outcome.run(module, ensure)


if __name__ == "__main__":
    main()
