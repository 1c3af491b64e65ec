#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: observer_info
short_description: Tell whether an observer's components work and whether its clusters' metrics arrive
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Reads the parts of an observer, from their workloads, from the metrics of their pods, for query from the endpoints
    that it sees, and from the observer's Prometheus what it knows of the others.
  - Tells each of the twelve parts that SCS-0403 decides on, also one that is not deployed. That one is not there is a
    failure, unless O(parts) does without it, no Service of it is there, and no clusters are registered that need it.
  - Reads the registrations (C(KaaSCluster)) of the observer and compares them with the samples that its query-frontend
    has. The same few queries serve any number of clusters.
  - Reads the registered Prometheuses of the IaaS layer (C(IaaSPrometheus)), and asks query of each path of each whether
    fresh samples are there.
  - Only a cluster in the phase C(active) can fail. Silence of one that is being provisioned, maintained or deleted is
    no failure.
  - What does not answer is told as a problem, and hides nothing of the rest. The module fails only when it cannot read
    registrations, workloads or pods.
  - Everything goes through the API server, nothing has to be exposed for it.
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
  components:
    description: Whether components are looked at. Clusters alone need fewer rights and fewer requests.
    type: bool
    default: true
  parts:
    description:
      - The parts that shall be there. Every observer that the role P(scs.observability.observer#role) deploys has all
        of these; an observer of fewer is made with modules.
      - Grafana, the web gateway and others that can be left out are told if they are there.
    type: list
    elements: str
    choices:
      - query_frontend
      - query
      - receive
      - rule
      - compact
      - bucket_web
      - store
      - prometheus
      - alertmanager
      - blackbox_exporter
      - kaas_metric_importer
    default:
      - query_frontend
      - query
      - receive
      - rule
      - compact
      - bucket_web
      - store
      - prometheus
      - alertmanager
      - blackbox_exporter
      - kaas_metric_importer
notes:
  - For clusters the module needs the verb C(list) on C(kaasclusters.observability.scs.community) and
    C(iaasprometheuses.observability.scs.community), and in O(namespace) C(get) on C(services/proxy).
  - For Prometheuses of the IaaS layer it needs C(list) on C(services) too. Without it they are V(unknown).
  - For components it needs, in O(namespace), C(list) on C(deployments.apps), C(statefulsets.apps), C(daemonsets.apps),
    C(services) and C(pods), and C(get) on C(pods/proxy) and C(services/proxy).
  - To tell why a component is not ready, C(get) on C(deployments.apps), C(statefulsets.apps), C(daemonsets.apps) and
    C(pods/log), and C(list) on C(events) and C(replicasets.apps). Without one of these the diagnosis is shorter.
  - To tell when certificates expire, C(list) on C(secrets). Only their metadata are asked for, but Kubernetes knows no
    such right without that to read their content. Without it there is a warning, and no certificates in the result.
seealso:
  - module: scs.observability.agent_registration
  - module: scs.observability.remote_write_gateway
  - module: scs.observability.thanos_component
"""

EXAMPLES = r"""
- name: See what works, which clusters are registered and what arrives
  scs.observability.observer_info:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
  register: observer

- name: Show the components as a table
  ansible.builtin.debug:
    msg: "{{ observer.components | scs.observability.components_table }}"

- name: Show the clusters as a table
  ansible.builtin.debug:
    msg: "{{ observer.registrations | scs.observability.registrations_table }}"

- name: Show the IaaS layer as a table
  ansible.builtin.debug:
    msg: "{{ observer.iaas | scs.observability.iaas_table }}"

- name: Fail when something does not work, saying what
  ansible.builtin.assert:
    that: observer.healthy
    fail_msg: "{{ observer.problems | join('\n') }}"

- name: Look at the clusters only
  scs.observability.observer_info:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
    components: false
"""

RETURN = r"""
components:
  description:
    - The components that are deployed, and those of SCS-0403 that are not, by name; empty when they are not looked at.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of its workload; of the bucket its own name.
      type: str
      sample: thanos-query
    component:
      description:
        - What it is. As M(scs.observability.thanos_component) calls it, C(bucket), C(prometheus), C(alertmanager),
          C(blackbox_exporter), C(kaas_metric_importer), C(remote_write_gateway), C(kube_state_metrics),
          C(node_exporter), C(prometheus_operator), C(grafana), C(web_gateway) or C(oauth2_proxy).
      type: str
      sample: query
    version:
      description: The version that runs, while pods differ all of theirs; none when no pod tells, or none is asked.
      type: str
      sample: 0.42.4
    image:
      description: The image that is wanted; none for the bucket and for what is not deployed.
      type: str
      sample: quay.io/thanos/thanos:v0.42.4
    replicas:
      description: Its pods.
      type: dict
      contains:
        wanted:
          description: How many there shall be.
          type: int
          sample: 1
        ready:
          description: How many are ready.
          type: int
          sample: 1
    endpoints:
      description: The StoreAPI endpoints that a query sees, by type and name; empty for other components.
      type: list
      elements: dict
      contains:
        name:
          description: Its address.
          type: str
          sample: 10.244.0.7:10901
        type:
          description: What it is, such as C(receive), C(store), C(rule) or C(sidecar), the one of a Prometheus.
          type: str
          sample: store
        label_sets:
          description: External labels of the data that it has.
          type: list
          elements: dict
          sample:
            - cluster: shop-prod
              receive_replica: thanos-receive-0
        min_time:
          description: Begin of what it has; none when there is no limit or nothing yet.
          type: str
          sample: "2026-02-01T10:00:00Z"
        max_time:
          description: End of what it has; none when there is no limit or nothing yet.
          type: str
          sample: "2026-02-02T10:00:00Z"
        last_check:
          description: When it last answered.
          type: str
          sample: "2026-02-02T10:00:03.123456789Z"
        error:
          description: Why it does not answer; none while it does.
          type: str
    last_upload:
      description:
        - When it last wrote an object to the bucket; none when it has not since its start, or never does.
        - For the compactor the last time that it compacted, downsampled or marked something; for the bucket the last
          one of all.
      type: str
      sample: "2026-02-02T09:00:41Z"
    compaction:
      description: The compactor's progress since its start; none for other components, or when it cannot be read.
      type: dict
      contains:
        since:
          description: When it was started.
          type: str
          sample: "2026-02-02T04:11:09Z"
        halted:
          description: Whether it has stopped working, because of an error that needs a decision.
          type: bool
          sample: false
        iterations:
          description: How many runs over the bucket succeeded.
          type: int
          sample: 12
        retries:
          description: How many runs failed for a reason that may pass.
          type: int
          sample: 0
        todo:
          description:
            - What is left to do as far as the compactor has counted it, which it does every few minutes.
            - C(compactions) and the C(compaction_blocks) in them, C(downsample_blocks), C(deletion_blocks).
          type: dict
          sample: {compactions: 1, compaction_blocks: 3, downsample_blocks: 0, deletion_blocks: 2}
    figures:
      description:
        - What it has to do with, counted; empty for other components than these, and when it cannot be read.
        - Of Prometheus C(targets_up) and C(targets_down), of Alertmanager C(alerts_active) and C(members), of the
          blackbox exporter C(probes) and C(probes_failing), which Prometheus tells, of kaas-metric-importer the
          C(clusters) that it has series of.
        - Of the bucket C(requests) and C(requests_failed) of all components, within 15 minutes where there is a
          Prometheus, otherwise since they started.
      type: dict
      sample: {targets_up: 19, targets_down: 0}
    certificates:
      description: Its certificates, by Secret; none when Secrets may not be listed.
      type: list
      elements: dict
      contains:
        secret:
          description: Name of the Secret.
          type: str
          sample: thanos-query-tls
        expires:
          description: When the certificate expires.
          type: str
          sample: "2026-05-02T10:00:00Z"
        renew_after:
          description: From when on a run of the component's module renews it.
          type: str
          sample: "2026-04-14T10:00:00Z"
    error:
      description: What could not be read of which pod, and why; none when all could.
      type: str
      sample: "thanos-query-7d4b9-x2x7z: error trying to reach service: dial tcp 10.244.0.9:10902: i/o timeout"
    diagnosis:
      description:
        - Of a component that is not ready, the state of its pods and containers, warnings and last log lines.
        - Empty for one that is ready.
      type: str
    healthy:
      description: V(false) when somebody has to act.
      type: bool
    state:
      description:
        - C(ok); C(due) when a certificate is due to be renewed; C(incomplete) for a Prometheus with targets that are
          down; C(absent) when it is not deployed, or can be missed, like Grafana, and its image cannot be pulled. One
          of O(parts), or that has a Service, is not healthy when it is not deployed.
        - When it is not healthy, the first that holds of C(unready), C(halted) (a compactor), C(expired) (a
          certificate), C(failing), C(unknown) (something cannot be read).
        - C(failing) is a query with an endpoint that does not answer, or without one that it was told to read; a
          component that holds complete blocks and has uploaded none for six hours; a compactor of whose runs more fail
          than succeed, or none succeeded within a day; what could not load its configuration; an Alertmanager that does
          not see its peers; an importer that does not know a registered cluster; a bucket of whose requests half or
          more failed within 15 minutes, or all where there is no Prometheus to tell.
      type: str
      sample: ok
    reason:
      description: The state in words, with everything that is wrong.
      type: str
      sample: ready
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
    phase_since:
      description: When a run changed the phase last; none before a run of this release.
      type: str
      sample: "2026-02-01T10:00:21Z"
    suspended:
      description: Whether the gateway turns its agent away.
      type: bool
    customer:
      description: Whose cluster it is.
      type: str
    sla:
      description: The class of its service level agreement.
      type: str
    contact:
      description: Whom to reach about it.
      type: str
    labels:
      description: What else the operator tells it by.
      type: dict
      sample: {stage: production}
    control_plane:
      description: Whose control plane it has, as far as its objects tell; none when nobody has looked.
      type: str
      sample: kubeadm
    profile:
      description: What its agent collects, C(minimal) or C(full).
      type: str
      sample: minimal
    registered_since:
      description: When it was registered.
      type: str
      sample: "2026-02-01T10:00:00Z"
    last_sample_age_seconds:
      description: Age of its newest sample; none when there was none within a day, or when the query API is away.
      type: float
      sample: 12.3
    series:
      description: Number of series it sends; none when the query API is away.
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
    last_failure:
      description: Of the last run, if it failed, its C(time), the C(link) that is broken, and the C(message).
      type: dict
      sample: {time: "2026-02-01T10:00:00Z", link: tls, message: the gateway is not trusted}
    healthy:
      description:
        - V(false) for an active cluster that is not suspended, when it is without a fresh sample (older than two
          minutes and than three scrape intervals), when its targets are all down, or when nothing is known of it
          because the query API is away.
      type: bool
    state:
      description:
        - For an active cluster C(ok), C(incomplete) when jobs are missing, C(silent) without fresh samples, C(down)
          when every target is down, C(unknown) when the query API is away, C(suspended). For another its phase.
      type: str
      sample: ok
    reason:
      description: The state in words.
      type: str
      sample: fresh samples of every job
iaas:
  description: The registered Prometheuses of the IaaS layer, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What it is called.
      type: str
      sample: north-1
    region:
      description: Its region.
      type: str
      sample: north
    pull_address:
      description: Where query asks its sidecar; none where it does not.
      type: str
      sample: 192.0.2.10:10901
    paths:
      description:
        - The paths by which its metrics come, each with the C(path), a C(state) of V(proven), V(pending) (blocks that
          are still to come), V(missing) or V(unknown), and a C(message).
      type: list
      elements: dict
      sample: [{path: pull, state: proven, message: ""}]
    last_sample_age_seconds:
      description: Age of its newest sample by any path; none when there is none.
      type: float
      sample: 12.3
    certificate_expires:
      description: When the first of its certificates expires.
      type: str
      sample: "2026-05-02T10:00:00Z"
    last_proof:
      description: When M(scs.observability.iaas_registration) last read its samples back; none before the first time.
      type: str
      sample: "2026-02-01T10:00:21Z"
    healthy:
      description: V(false) when somebody has to act.
      type: bool
    state:
      description:
        - C(ok); C(unproven) before it was read back the first time; C(due) when a certificate is due to be renewed;
          C(pending) while blocks are still to come.
        - When it is not healthy, C(expired) (a certificate), C(failing) when a path is broken and another is not,
          C(silent) when nothing of it arrives, C(unknown) when the query API is away.
      type: str
      sample: ok
    reason:
      description: The state in words, with everything that is wrong.
      type: str
      sample: read by every path
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
  description: Whether there are no problems.
  returned: success
  type: bool
problems:
  description:
    - What is wrong in words, components first - components and clusters that are not healthy with their reasons and
      diagnosis, a query API that does not answer, and C(remote_write_gateway), C(receive), C(query) or
      C(query_frontend) when clusters are registered and it is not deployed.
  returned: success
  type: list
  elements: str
  sample:
    - "component thanos-store: 0 of 1 replicas are ready"
    - "cluster shop-prod: active, but its last sample is 312 s old, more than 120 s"
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import KUBERNETES
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._observer.components import EVERY_OBSERVERS
from ansible_collections.scs.observability.plugins.module_utils._registration.overview import overview


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "default": "scs-observability"},
            "query_frontend": {"type": "str", "default": "thanos-query-frontend"},
            "components": {"type": "bool", "default": True},
            "parts": {
                "type": "list",
                "elements": "str",
                "choices": list(EVERY_OBSERVERS),
                "default": list(EVERY_OBSERVERS),
            },
            **KUBERNETES,
        },
        supports_check_mode=True,
    )
    outcome.run(module, overview)


if __name__ == "__main__":
    main()
