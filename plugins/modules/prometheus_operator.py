#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: prometheus_operator
short_description: Have a Prometheus Operator that works in the namespace of the observer
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Uses the operator that looks at the namespace already, if it and its custom resource definitions are new enough
    (0.82.0). Otherwise it is refused, with all reasons, and nothing is touched.
  - Where no operator looks at the namespace, the definitions of a released bundle are applied, and once they are
    established the operator itself. It looks at this one namespace (C(--namespaces)) and has rights there alone, none
    in the rest of the cluster. Operators of other namespaces are left alone.
  - The bundle is read only when a definition is missing, of another bundle, or has been changed by somebody. Its
    checksum is verified before it is parsed.
  - Definitions that somebody else made are used as they are, when they are of the operator's release or newer.
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.kubernetes
  - scs.observability.placement
  - scs.observability.wait
options:
  namespace:
    description: Namespace of the observer. It is made when it is missing.
    type: str
    default: scs-observability
  state:
    description:
      - V(present) has an operator look at the namespace.
      - V(absent) removes our operator. Remove what it runs before, or it goes on without an operator. Definitions stay,
        unless O(purge).
    type: str
    choices: [present, absent]
    default: present
  bundle:
    description:
      - Path (where the module runs) or https URL of the bundle of a release. Of it the definitions are used.
      - The default is the file that belongs to the default of O(image), on GitHub.
    type: str
  bundle_checksum:
    description:
      - SHA-256 of the bundle, C(sha256:) and 64 hexadecimal digits.
      - The default is that of the default of O(bundle).
    type: str
  image:
    description: Image of the operator, at most as new as the bundle. The default is V(v0.85.0) of upstream's.
    type: str
  config_reloader_image:
    description:
      - Image of the container that the operator puts beside Prometheus and Alertmanager, of the operator's release. The
        default is V(v0.85.0) of upstream's.
    type: str
  resources:
    description: Requests and limits of the operator's container, as Kubernetes has them.
    type: dict
  config_reloader_resources:
    description:
      - Requests and limits, of C(cpu) and C(memory), of the container that it puts beside Prometheus and Alertmanager.
        What is not given there is not set. Without this, the operator's own defaults are.
    type: dict
  affinity:
    description: Affinity of the operator's pod as Kubernetes has it.
    type: dict
  force:
    description:
      - Take over fields that another field manager owns.
      - Take over definitions that somebody else made, unless they are newer.
    type: bool
    default: false
  purge:
    description:
      - With O(state=absent), remove the definitions, too, but only those that this collection made, and only when
        nobody uses them, no operator and no resource outside this observer. Those that stay are named in warnings.
      - Also, when this was the last of the observer, its authorities and the namespace.
    type: bool
    default: false
requirements:
  - PyYAML
seealso:
  - module: scs.observability.apply_set
"""

EXAMPLES = r"""
- name: Have a Prometheus Operator in the observer
  scs.observability.prometheus_operator:
    kubeconfig: ~/.kube/observer.yaml

- name: The same without a way to the Internet
  scs.observability.prometheus_operator:
    bundle: https://mirror.example.org/prometheus-operator/v0.85.0/bundle.yaml
    image: mirror.example.org/prometheus-operator/prometheus-operator:v0.85.0
    config_reloader_image: mirror.example.org/prometheus-operator/prometheus-config-reloader:v0.85.0

- name: Remove it and, if nobody else uses them, its definitions
  scs.observability.prometheus_operator:
    state: absent
    purge: true
"""

RETURN = r"""
namespace:
  description: The namespace of the observer.
  returned: success
  type: str
  sample: scs-observability
operator:
  description: The operator that works in the namespace. None for O(state=absent).
  returned: success
  type: dict
  contains:
    namespace:
      description: Where its Deployment is.
      returned: always
      type: str
      sample: scs-observability
    name:
      description: Name of its Deployment.
      returned: always
      type: str
      sample: prometheus-operator
    version:
      description: Its version, None when its image is given by digest.
      returned: always
      type: str
      sample: 0.85.0
    ours:
      description: Whether this collection made it.
      returned: always
      type: bool
scrape_config_fields:
  description:
    - What the C(spec) of a C(ScrapeConfig) may have, by the definition that is there, or would be in check mode. Empty
      when that does not tell.
  returned: success, unless O(state=absent)
  type: list
  elements: str
  sample: [dnsSDConfigs, staticConfigs]
changes:
  description: What was changed, or would be in check mode, one line per object.
  returned: success
  type: list
  elements: str
  sample: ["create apps/v1 Deployment scs-observability/prometheus-operator"]
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import KUBERNETES, PLACEMENT, WAIT
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._observer import prometheus_operator


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "default": "scs-observability"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "bundle": {"type": "str"},
            "bundle_checksum": {"type": "str"},
            "image": {"type": "str"},
            "config_reloader_image": {"type": "str"},
            "resources": {"type": "dict"},
            "config_reloader_resources": {"type": "dict"},
            "force": {"type": "bool", "default": False},
            "purge": {"type": "bool", "default": False},
            **KUBERNETES,
            **PLACEMENT,
            **WAIT,
        },
        supports_check_mode=True,
    )
    outcome.run(module, prometheus_operator.ensure)


if __name__ == "__main__":
    main()
