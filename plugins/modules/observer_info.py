#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: observer_info
short_description: Tell which KaaS clusters are registered with an observer and whether their metrics arrive
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Reads the registrations (C(KaaSCluster)) of an observer and compares them with the samples that its query-frontend
    has.
  - The same few queries serve any number of clusters.
  - Only a cluster in the phase C(active) can fail. Silence of one that is being provisioned, maintained or deleted is
    no failure.
extends_documentation_fragment:
  - scs.observability.attributes.info_module
  - scs.observability.kubernetes
options:
  namespace:
    description: The namespace of the observer's components.
    type: str
    default: scs-observability
  query_frontend:
    description: Name of the Service in O(namespace) whose query API is asked.
    type: str
    default: thanos-query-frontend
seealso:
  - module: scs.observability.agent_registration
"""

EXAMPLES = r"""
- name: See which clusters are registered and what arrives
  scs.observability.observer_info:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
  register: observer

- name: Show it as a table
  ansible.builtin.debug:
    msg: "{{ observer.registrations | scs.observability.registrations_table }}"

- name: Fail when a cluster is silent
  ansible.builtin.assert:
    that: observer.healthy
    fail_msg: "{{ observer.registrations | rejectattr('healthy') | map(attribute='reason') | list }}"
"""

RETURN = r"""
registrations:
  description: The registered clusters, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The cluster's name.
      type: str
      sample: shop-prod
    phase:
      description: C(provisioning), C(active), C(maintenance) or C(deleting).
      type: str
      sample: active
    customer:
      description: Whose cluster it is.
      type: str
    sla:
      description: The class of its service level agreement.
      type: str
    contact:
      description: Whom to reach about it.
      type: str
    registered_since:
      description: When it was registered.
      type: str
      sample: "2026-02-01T10:00:00Z"
    last_sample_age_seconds:
      description: Age of its newest sample; none when there was none within a day.
      type: float
      sample: 12.3
    series:
      description: Number of series it sends.
      type: int
      sample: 2713
    missing_jobs:
      description: Expected jobs without a fresh sample of a target that is up.
      type: list
      elements: dict
      contains:
        job:
          description: Name of the job.
          type: str
          sample: coredns
        reason:
          description: C(no sample) or C(target down).
          type: str
          sample: no sample
    certificate_expires:
      description: When its certificate expires; none before there is one.
      type: str
      sample: "2026-05-02T10:00:00Z"
    certificate_fingerprint:
      description: SHA-256 of its certificate, in hexadecimal; none before there is one.
      type: str
    last_proof:
      description:
        - When M(scs.observability.agent_registration) last read new samples of it back; none before the first time.
      type: str
      sample: "2026-02-01T10:00:21Z"
    healthy:
      description:
        - V(false) for an active cluster without a fresh sample (older than two minutes and than three scrape
          intervals), or whose targets are all down.
      type: bool
    state:
      description:
        - For an active cluster C(ok), C(incomplete) when jobs are missing, C(silent) without fresh samples, C(down)
          when every target is down. For another its phase.
      type: str
      sample: ok
    reason:
      description: The state in words.
      type: str
      sample: fresh samples of every job
orphans:
  description: Clusters whose samples arrive although they are not registered, or were until a few minutes ago.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Value of the label C(cluster).
      type: str
    last_sample_age_seconds:
      description: Age of its newest sample.
      type: float
    series:
      description: Number of series it sends.
      type: int
healthy:
  description: Whether all registered clusters are healthy.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import KUBERNETES
from ansible_collections.scs.observability.plugins.module_utils._registration.overview import registrations


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "default": "scs-observability"},
            "query_frontend": {"type": "str", "default": "thanos-query-frontend"},
            **KUBERNETES,
        },
        supports_check_mode=True,
    )
    outcome.run(module, registrations)


if __name__ == "__main__":
    main()
