#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: observer_preflight
short_description: Tell everything that stands in the way of an observer, at once
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Looks at the cluster that is to hold an observer, at the bucket and whose it is, at what Thanos would refuse beside
    what runs, at clocks and at names, and tells all problems together, each with what to do about it. Nothing is
    written.
  - "Of the cluster it looks at: its version, rights of the user, namespace, storage classes, free resources and ports
    of nodes, the clocks of API server and nodes, the kinds that are needed, and DNS."
  - What this user may not look at is a warning, not a problem.
extends_documentation_fragment:
  - scs.observability.attributes.info_module
  - scs.observability.kubernetes
options:
  namespace:
    description: The namespace of the observer. Pods that are in it do not count as using anything, as they are its own.
    type: str
    default: scs-observability
  minimum_version:
    description: The oldest version of Kubernetes that will do.
    type: str
    default: "1.31"
  volumes:
    description: Whether a storage class is needed.
    type: bool
    default: true
  storage_class:
    description: The storage class that volumes are to have. When empty, the cluster must have a default one.
    type: str
  prometheus_operator_state:
    description: With V(external), what the Prometheus Operator defines must be there already.
    type: str
    choices: [present, external]
    default: present
  prometheus_rules:
    description:
      - Files of rules for the observer's own Prometheus, as texts or as structures, by the names that problems call
        them, such as V(rules/site.yml).
      - Their expressions are parsed by the Prometheus in O(namespace). One that does not run yet, or may not be asked,
        is a warning, and RV(facts.rules_tried) tells it. Templates in labels and annotations are not tried;
        C(promtool check rules) does that, and needs nothing that runs.
    type: dict
  pods:
    description:
      - The pods that are to run. Their requests are compared with what nodes can give (C(allocatable)) less what the
        pods on them ask for.
      - The filter P(scs.observability.observer_pods#filter) makes the list for the role
        P(scs.observability.observer#role).
    type: list
    elements: dict
    suboptions:
      name:
        description: What problems call it.
        type: str
        required: true
      requests:
        description: What one pod asks for, C(cpu) and C(memory), as Kubernetes writes them.
        type: dict
      replicas:
        description: Number of pods.
        type: int
        default: 1
      every_node:
        description: Whether there is one on every node instead.
        type: bool
        default: false
      host_access:
        description: Whether it uses the network, files or processes of its node. Some namespaces do not allow that.
        type: bool
        default: false
      host_ports:
        description: Ports of nodes that it listens on.
        type: list
        elements: int
  gateway_node_port:
    description:
      - The port of nodes that the Service C(remote-write-gateway) in O(namespace) is to have. One that another Service
        has is a problem. With V(0) the cluster chooses.
    type: int
    default: 0
  web_node_port:
    description: The same of the Service C(web-gateway).
    type: int
    default: 0
  web_gateway_api:
    description: Whether the web gateway is to have a C(HTTPRoute), which the cluster must know then.
    type: bool
    default: false
  node_selector:
    description: Labels of the nodes that pods may run on.
    type: dict
  tolerations:
    description: Taints of nodes that pods put up with, as Kubernetes has them.
    type: list
    elements: dict
  bucket:
    description:
      - The bucket, with the parameters of M(scs.observability.bucket). It is tried as that module does in check mode,
        so a bucket that is not there yet is no problem.
      - When it is left out, no bucket is looked at.
      - With C(cloud) or C(auth) endpoint and keys are those of an OpenStack cloud; see M(scs.observability.bucket).
    type: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      endpoint:
        description: URL of the store.
        type: str
      cloud:
        description: Name of a cloud in C(clouds.yaml).
        type: str
      auth:
        description: How to log in at an OpenStack cloud.
        type: dict
      auth_type:
        description: The way of logging in.
        type: str
      region_name:
        description: Region of the cloud.
        type: str
      interface:
        description: Which of a service's endpoints are meant.
        type: str
        choices: [public, internal, admin]
      cacert:
        description: File with the certificate (PEM) of the authority that signed Keystone's certificate.
        type: path
      region:
        description: The store's region.
        type: str
        default: us-east-1
      access_key:
        description: The access key, or the environment variable E(AWS_ACCESS_KEY_ID).
        type: str
      secret_key:
        description: The secret key, or the environment variable E(AWS_SECRET_ACCESS_KEY).
        type: str
      ca_content:
        description: Certificate (PEM) of the authority that signed the store's certificate.
        type: str
      validate_certs:
        description: Whether the store's certificate must be valid.
        type: bool
        default: true
      addressing_style:
        description: Whether the bucket is in the path of a URL or in the name of the host.
        type: str
        choices: [path, virtual]
        default: path
  thanos_image:
    description:
      - Image reference of Thanos, which must not have a lower version than the components that run. That of this
        release unless given.
    type: str
  thanos_allow_downgrade:
    description: Whether it may, see O(scs.observability.thanos_component#module:allow_downgrade).
    type: bool
    default: false
  compact_take_over_bucket:
    description:
      - Whether O(bucket) may be that of another compactor, see
        O(scs.observability.thanos_component#module:take_over_bucket).
    type: bool
    default: false
  query_endpoints:
    description:
      - What query is to read beside the observer's own, see O(scs.observability.thanos_component#module:endpoints).
        A circle is a problem.
    type: list
    elements: str
  query_external_endpoints:
    description:
      - The same with a TLS of their own, see O(scs.observability.thanos_component#module:external_endpoints). One that
        is registered, too, is a problem.
    type: list
    elements: dict
    suboptions:
      address:
        description: Of the form C(host:port).
        type: str
        required: true
      server_name:
        description: Name in the endpoint's certificate, where it is not the host of the address.
        type: str
      ca:
        description: Certificates (PEM) by which the endpoint is known.
        type: str
      certificate:
        description: Certificate (PEM) that is shown to the endpoint.
        type: str
      key:
        description: Key (PEM) of the certificate.
        type: str
  ruler_rules:
    description:
      - Files of rules for the ruler by their names, see O(scs.observability.thanos_component#module:rules). What query
        cannot parse is a problem. Where no query runs yet nothing is told of expressions.
    type: dict
  rule_extra_args:
    description: More arguments of the ruler, some of which change what it can parse.
    type: list
    elements: str
  hostnames:
    description:
      - Names that agents use. One that is not known where the module runs is a warning, because the record of a load
        balancer can be made only when it has an address.
    type: list
    elements: str
  fail:
    description: Whether problems are a failure. Without, they are returned.
    type: bool
    default: true
notes:
  - The module asks for C(list) on C(nodes), C(pods), C(storageclasses.storage.k8s.io),
    C(endpointslices.discovery.k8s.io) and C(leases.coordination.k8s.io), and where ports of nodes are given also on
    C(services), in the whole cluster. Without one of these there is a warning.
seealso:
  - module: scs.observability.bucket
  - module: scs.observability.observer_info
"""

EXAMPLES = r"""
- name: See that an observer can be deployed
  scs.observability.observer_preflight:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
    storage_class: fast
    pods:
      - name: receive
        requests: {cpu: "1", memory: 4Gi}
      - name: query
        requests: {cpu: 500m, memory: 1Gi}
        replicas: 2
    bucket:
      name: metrics
      endpoint: https://s3.example.com
      access_key: "{{ s3_access_key }}"
      secret_key: "{{ s3_secret_key }}"

- name: Look, and go on
  scs.observability.observer_preflight:
    kubeconfig: /etc/kubernetes/observer.kubeconfig
    fail: false
  register: preflight

- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ preflight.problems or preflight.facts }}"
"""

RETURN = r"""
problems:
  description: What stands in the way, each with what to do.
  returned: always, unless a parameter has a wrong type
  type: list
  elements: str
  sample:
    - "the cluster has Kubernetes v1.29.4, 1.31 or newer is needed: upgrade it"
    - "storage_class: there is no storage class fast. There are: standard"
facts:
  description: What was seen. What could not be looked at is not there.
  returned: always, unless a parameter has a wrong type
  type: dict
  contains:
    context:
      description: The context of the kubeconfig that was used.
      type: str
      sample: observer
    version:
      description: The version of Kubernetes; not there when the API server does not answer.
      type: str
      sample: v1.36.3
    clock_skew_seconds:
      description:
        - By how many seconds the API server's clock is ahead of the one where the module runs, negative if behind.
          None if it does not tell its time.
      type: int
      sample: 0
    storage_class:
      description: The storage class that volumes get.
      type: str
      sample: standard
    rules_tried:
      description: Whether a Prometheus has parsed O(prometheus_rules); not there without any.
      type: bool
      sample: true
    volume_sizes:
      description: The size of the volumes of each StatefulSet in the namespace, empty where it has none.
      type: dict
      sample: {thanos-receive: 10Gi}
    api_server_networks:
      description: From which networks API servers ask pods, when they run on nodes of the cluster.
      type: list
      elements: str
      sample: [192.0.2.10/32]
    nodes:
      description: The nodes that may be used.
      type: list
      elements: str
      sample: [worker-1]
    unusable_nodes:
      description: The others, and why they may not.
      type: dict
      sample: {control-plane-1: "has the taint node-role.kubernetes.io/control-plane=:NoSchedule"}
    free:
      description: What these nodes have free, in cores and bytes.
      type: dict
      sample: {cpu: 3.2, memory: 12884901888}
    requested:
      description: What O(pods) ask for, in cores and bytes.
      type: dict
      sample: {cpu: 1.1, memory: 3221225472}
    other_observers:
      description: Namespaces of other observers in this cluster.
      type: list
      elements: str
      sample: []
    bucket:
      description: See RV(scs.observability.bucket#module:preflight).
      type: dict
error:
  description: Kind of the error.
  returned: failure
  type: str
  sample: preflight_error
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import (
    EXTERNAL_ENDPOINTS,
    KUBERNETES,
    OPENSTACK,
)
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._observer.preflight import check


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "namespace": {"type": "str", "default": "scs-observability"},
            "minimum_version": {"type": "str", "default": "1.31"},
            "volumes": {"type": "bool", "default": True},
            "storage_class": {"type": "str"},
            "prometheus_operator_state": {"type": "str", "choices": ["present", "external"], "default": "present"},
            "prometheus_rules": {"type": "dict"},
            "pods": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "requests": {"type": "dict"},
                    "replicas": {"type": "int", "default": 1},
                    "every_node": {"type": "bool", "default": False},
                    "host_access": {"type": "bool", "default": False},
                    "host_ports": {"type": "list", "elements": "int"},
                },
            },
            "gateway_node_port": {"type": "int", "default": 0},
            "web_node_port": {"type": "int", "default": 0},
            "web_gateway_api": {"type": "bool", "default": False},
            "node_selector": {"type": "dict"},
            "tolerations": {"type": "list", "elements": "dict"},
            "bucket": {
                "type": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    **OPENSTACK,
                    "endpoint": {"type": "str"},
                    "region": {"type": "str", "default": "us-east-1"},
                    # Names a key. Hidden, it would also be blotted out where it is part of the name of the bucket.
                    "access_key": {"type": "str", "no_log": False},
                    "secret_key": {"type": "str", "no_log": True},
                    "ca_content": {"type": "str"},
                    "validate_certs": {"type": "bool", "default": True},
                    "addressing_style": {"type": "str", "choices": ["path", "virtual"], "default": "path"},
                },
            },
            "thanos_image": {"type": "str"},
            "thanos_allow_downgrade": {"type": "bool", "default": False},
            "compact_take_over_bucket": {"type": "bool", "default": False},
            "query_endpoints": {"type": "list", "elements": "str"},
            "query_external_endpoints": EXTERNAL_ENDPOINTS,
            "ruler_rules": {"type": "dict"},
            "rule_extra_args": {"type": "list", "elements": "str"},
            "hostnames": {"type": "list", "elements": "str"},
            "fail": {"type": "bool", "default": True},
            **KUBERNETES,
        },
        supports_check_mode=True,
    )
    outcome.run(module, check)


if __name__ == "__main__":
    main()
