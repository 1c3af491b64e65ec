#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: apply_set
short_description: Have a set of objects in the observer, exactly these
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Applies Kubernetes objects that belong together (server-side), and removes those of the set that are not wanted any
    more. What is not different is not written.
  - The parts of the observer that are not Thanos are sets, made of templates in the role
    P(scs.observability.observer#role). So can be what an operator adds.
  - Every object gets the namespace and the labels of the set. Pods are replaced when a ConfigMap or Secret of the set
    changes that they use.
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.kubernetes
  - scs.observability.placement
  - scs.observability.wait
options:
  name:
    description: Name of the set, the label C(app.kubernetes.io/instance) of its objects.
    type: str
    required: true
  namespace:
    description: Namespace of the observer and of all objects that have one. It is made when it is missing.
    type: str
    default: scs-observability
  state:
    description:
      - V(present) has the objects there, and no others with the labels of the set.
      - V(absent) removes them, but volumes and generated Secrets only with O(purge). Custom resource definitions stay.
    type: str
    choices: [present, absent]
    default: present
  objects:
    description:
      - The objects. Kinds of Kubernetes itself, the Prometheus Operator, cert-manager and the Gateway API are known.
      - Secrets are refused, because the arguments of a task are shown; see O(secrets).
      - Custom resource definitions are made and changed, never removed, because what they define would go with them.
    type: list
    elements: dict
  secrets:
    description: Secrets by their name, as dictionaries of texts.
    type: dict
  generated_secrets:
    description:
      - Secrets by their name, as lists of keys. Each key that is missing gets a random text of 32 characters; those
        that are there stay. No value is ever shown.
      - A Secret that somebody else made under that name is used and left alone.
    type: dict
  certificates:
    description:
      - Certificates of the observer's authority C(internal) by the name of their Secret, which has C(tls.crt),
        C(tls.key) and C(ca.crt). They are renewed when it is time.
      - Each is a dictionary of C(services) and C(hostnames), lists of the names that it is for, and C(server) (true
        unless given) and C(client) (false unless given), what it is used as.
    type: dict
  force:
    description: Take over fields that another field manager owns.
    type: bool
    default: false
  purge:
    description:
      - With O(state=absent), remove volumes and generated Secrets, too, and, when this was the last of the observer,
        its authorities and the namespace.
    type: bool
    default: false
  affinity:
    description: Affinity of the pods as Kubernetes has it, for those objects that say nothing of it.
    type: dict
seealso:
  - module: scs.observability.thanos_component
  - module: kubernetes.core.k8s
    description: For objects that do not belong together.
"""

EXAMPLES = r"""
- name: Have a dashboard in the observer
  scs.observability.apply_set:
    name: our-dashboards
    objects:
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: our-dashboards
        data:
          billing.json: "{{ lookup('ansible.builtin.file', 'billing.json') }}"

- name: Have Secrets, one of them with a password that nobody has to think of
  scs.observability.apply_set:
    name: our-exporter
    secrets:
      our-exporter: {config.yml: "{{ vault_our_exporter_config }}"}
    generated_secrets:
      our-exporter-admin: [password]

- name: Remove them again
  scs.observability.apply_set:
    name: our-exporter
    state: absent
    purge: true
"""

RETURN = r"""
name:
  description: Name of the set.
  returned: success
  type: str
  sample: our-exporter
namespace:
  description: The namespace of the observer.
  returned: success
  type: str
  sample: scs-observability
changes:
  description: What was changed, or would be in check mode, one line per object.
  returned: success
  type: list
  elements: str
  sample: ["create v1 ConfigMap scs-observability/our-dashboards"]
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import KUBERNETES, PLACEMENT, WAIT
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._observer import apply_set


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "default": "scs-observability"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "objects": {"type": "list", "elements": "dict"},
            "secrets": {"type": "dict", "no_log": True},
            # Names only
            "generated_secrets": {"type": "dict", "no_log": False},
            "certificates": {"type": "dict"},
            "force": {"type": "bool", "default": False},
            "purge": {"type": "bool", "default": False},
            **KUBERNETES,
            **PLACEMENT,
            **WAIT,
        },
        supports_check_mode=True,
    )
    outcome.run(module, apply_set.ensure)


if __name__ == "__main__":
    main()
