#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: remote_write_gateway
short_description: Deploy the gateway that lets the agents of customers' clusters write
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Deploys HAProxy as the only door for the metrics of customers' clusters. It asks for a client certificate of the
    authority C(tenants) (TLS 1.3) and makes the tenant of its common name, whatever the request says.
  - Only certificates that are registered get in. Each pod looks every second at the ConfigMap
    C(remote-write-clients), into which M(scs.observability.agent_registration) writes and which this module brings to
    what the registrations say. Who is suspended gets 503, by which an agent keeps its samples, who is not registered
    403, by which it drops them.
  - Only C(POST /api/v1/receive) is served. Requests are limited in size and time, and reach receive when they are
    complete. Receive knows the gateway by a certificate that nothing else has.
  - The authorities C(tenants) and C(internal) are made once and kept as Secrets in the namespace, unless
    M(scs.observability.authority) put yours there. The certificate that agents see is signed by C(internal), unless you
    bring one.
  - A new configuration or certificate rolls the pods one by one, while requests go on.
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.kubernetes
  - scs.observability.certificate
  - scs.observability.placement
  - scs.observability.wait
options:
  name:
    description: What the gateway's objects are called, a DNS label.
    type: str
    default: remote-write-gateway
  namespace:
    description: The namespace, made when it is missing. One that somebody else made is used and left.
    type: str
    default: scs-observability
  state:
    description:
      - V(present) brings the gateway to what is described here.
      - V(absent) removes what was made for it. Agents keep their samples for hours and write on when it comes back.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: Image reference of HAProxy 3.0 or newer. The version that this release was tested with unless given.
    type: str
  replicas:
    description:
      - Number of pods. More than one have a PodDisruptionBudget, and keep to different nodes where there are enough,
        unless O(affinity) says otherwise.
    type: int
    default: 2
  receive_url:
    description:
      - Where receive takes remote write, as C(endpoints.remote_write) is returned by
        M(scs.observability.thanos_component). Required for O(state=present).
    type: str
  hostnames:
    description:
      - Names and addresses under which agents reach the gateway, the one to be told to them first. They go into its
        certificate, beside the names of its Service. One that you bring must cover them.
    type: list
    elements: str
  certificate:
    description:
      - The certificate that agents see, if it is not to be signed by the authority C(internal), for example one of a
        public authority. PEM, with its chain (all but the root) after it.
      - Agents then know the gateway by O(scs.observability.agent_registration#module:remote_write_ca), the root of that
        chain. They write to one of O(hostnames), as the names of the Service are hardly covered.
      - It is refused when it is not for a TLS server, not valid now, not in order, or does not cover O(hostnames).
    type: str
  certificate_secret:
    description:
      - Name of a Secret in O(namespace) with such a certificate as C(tls.crt) and C(tls.key) (C(kubernetes.io/tls)),
        for example one that cert-manager keeps. Excludes O(certificate). The Secret stays yours.
      - What is renewed in it, the gateway loads by itself, about a minute later, when the kubelet has brought it into
        the pods.
    type: str
  tenant_header:
    description: HTTP header by which receive is told whose samples they are. The same as for receive.
    type: str
    default: THANOS-TENANT
  cluster_domain:
    description: The DNS domain of the cluster that the gateway runs in.
    type: str
    default: cluster.local
  service_type:
    description: Type of the Service, one of V(ClusterIP), V(NodePort) and V(LoadBalancer).
    type: str
    default: ClusterIP
  node_port:
    description: Node port of the Service. V(0) lets the cluster choose.
    type: int
  service_annotations:
    description: Annotations of the Service, by which load balancers are often told what is wanted. Texts.
    type: dict
  load_balancer_class:
    description:
      - Which implementation makes the load balancer, where the cluster has several. It cannot be changed later on. For
        O(service_type=LoadBalancer), as the two below.
    type: str
  load_balancer_ip:
    description: The address that the load balancer is to have, where its implementation lets one ask.
    type: str
  load_balancer_source_ranges:
    description: The networks that may reach the load balancer, such as V(192.0.2.0/24).
    type: list
    elements: str
  max_body_bytes:
    description:
      - Largest size of a (compressed) request in bytes, between V(65536) and V(16777216). An agent
        drops what was refused for its size.
      - The gateway holds each request in memory until it is complete.
    type: int
    default: 2097152
  max_message_bytes:
    description:
      - Largest size of a request when it is decompressed, in bytes, as it announces it itself, between V(2097152) and
        V(134217728). Receive never sees a larger one. An agent drops what was refused for its size.
    type: int
    default: 67108864
  max_connections:
    description:
      - How many connections a cluster may have at each pod, between V(1) and V(1000). Each takes one request at a time.
        Further ones are closed. All together may have as many as fit into three tenths of the memory limit, 60 KiB
        each, and 20,000 at most; further ones wait.
      - An agent uses up to ten when it catches up, and for a moment twice as many when it is replaced.
    type: int
    default: 20
  max_requests_per_second:
    description:
      - How many requests a cluster may send to each pod, between V(1) and V(10000), counted over 10 seconds. Further
        ones get 429; agents keep their samples and send them later.
      - An agent with 200,000 series that are scraped every 30 seconds sends 3.3 per second, of 2,000 samples each. One
        with more needs one for every 40,000 series, or it catches up late or not at all.
      - How many series a cluster can make before receive notices rests on this.
    type: int
    default: 5
  timeouts:
    description: Limits of time, durations such as V(30s).
    type: dict
    suboptions:
      handshake:
        description: For a client to prove who it is (TLS). V(5s) unless given.
        type: str
      connect:
        description: To connect to receive. V(5s) unless given.
        type: str
      headers:
        description: For a client to send the headers of a request. V(10s) unless given.
        type: str
      body:
        description: For a client to send the body of a request, all of it. V(30s) unless given.
        type: str
      response:
        description: For receive to answer. V(30s) unless given.
        type: str
      idle:
        description: That a connection may wait for the next request. V(2m) unless given.
        type: str
  resources:
    description:
      - Resources of the container, with C(requests) and C(limits) as Kubernetes has them. They replace the defaults as
        a whole.
      - The memory limit decides how many requests are taken in at once; further ones wait.
    type: dict
  wait_for_observer:
    description:
      - Whether O(wait) also waits for everything else of the observer in O(namespace), such as components that were
        deployed with O(scs.observability.thanos_component#module:wait=false), so that they start side by side.
    type: bool
    default: false
  purge:
    description:
      - With O(state=absent), remove authorities and namespace too when nothing else of the observer is left in it,
        unless somebody else made it, or clusters are still registered.
    type: bool
    default: false
  force:
    description: Take over fields that another field manager owns.
    type: bool
    default: false
notes:
  - Metrics of HAProxy are served as plain HTTP by the Service C(<name>-metrics), port 8404, inside the cluster only, at
    C(/metrics). How many clusters may write, when that was read last, and how many requests of which cluster a limit
    has refused, at C(/metrics/clients).
  - The pods ask the API server for that one ConfigMap, with an account that may read nothing else.
requirements:
  - cryptography 42 or newer
seealso:
  - module: scs.observability.authority
  - module: scs.observability.thanos_component
  - module: scs.observability.agent_registration
"""

EXAMPLES = r"""
- name: Open the door for customers' clusters
  scs.observability.remote_write_gateway:
    receive_url: "{{ receive.endpoints.remote_write }}"
    hostnames:
      - observer.example.org
    service_type: LoadBalancer

- name: The same with a certificate that cert-manager keeps, and for networks of ours only
  scs.observability.remote_write_gateway:
    receive_url: "{{ receive.endpoints.remote_write }}"
    hostnames:
      - observer.example.org
    certificate_secret: observer-example-org
    service_type: LoadBalancer
    load_balancer_source_ranges:
      - 192.0.2.0/24

- name: Close it
  scs.observability.remote_write_gateway:
    state: absent
"""

RETURN = r"""
name:
  description: What the gateway's objects are called.
  returned: success
  type: str
  sample: remote-write-gateway
namespace:
  description: The namespace they are in.
  returned: success
  type: str
  sample: scs-observability
endpoints:
  description: Where agents reach the gateway. Empty for O(state=absent).
  returned: success
  type: dict
  contains:
    remote_write:
      description: URL to write to from within the cluster.
      returned: always
      type: str
      sample: https://remote-write-gateway.scs-observability.svc/api/v1/receive
    external:
      description:
        - URL to write to from elsewhere, with the first of O(hostnames) or else the address of the load balancer, and
          the node port for O(service_type=NodePort).
        - None for O(service_type=ClusterIP), for O(service_type=NodePort) without O(hostnames), and while the cluster
          has not given the port or the address (in check mode, or without O(wait)).
      returned: always
      type: str
      sample: https://observer.example.org/api/v1/receive
addresses:
  description: Addresses (or names) that the cluster has given for O(service_type=LoadBalancer), for the DNS.
  returned: success
  type: list
  elements: str
  sample: [192.0.2.10]
ca:
  description:
    - Certificate (PEM) of the authority C(internal), by which agents know the gateway. None with a certificate of your
      own, in check mode before there is an authority, and for O(state=absent).
  returned: success
  type: str
changes:
  description: What was changed, or would be in check mode, one line per object.
  returned: success
  type: list
  elements: str
  sample: ["create apps/v1 Deployment scs-observability/remote-write-gateway"]
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import (
    CERTIFICATE,
    KUBERNETES,
    PLACEMENT,
    WAIT,
)
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._observer import gateway


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "remote-write-gateway"},
            "namespace": {"type": "str", "default": "scs-observability"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "image": {"type": "str"},
            "replicas": {"type": "int", "default": 2},
            "receive_url": {"type": "str"},
            "hostnames": {"type": "list", "elements": "str"},
            "certificate_secret": {"type": "str", "no_log": False},
            "tenant_header": {"type": "str", "default": "THANOS-TENANT"},
            "cluster_domain": {"type": "str", "default": "cluster.local"},
            "service_type": {"type": "str", "default": "ClusterIP"},
            "node_port": {"type": "int"},
            "service_annotations": {"type": "dict"},
            "load_balancer_class": {"type": "str"},
            "load_balancer_ip": {"type": "str"},
            "load_balancer_source_ranges": {"type": "list", "elements": "str"},
            "max_body_bytes": {"type": "int", "default": 2097152},
            "max_message_bytes": {"type": "int", "default": 67108864},
            "max_connections": {"type": "int", "default": 20},
            "max_requests_per_second": {"type": "int", "default": 5},
            "timeouts": {
                "type": "dict",
                "options": {name: {"type": "str"} for name in gateway.TIMEOUTS},
            },
            "resources": {"type": "dict"},
            "wait_for_observer": {"type": "bool", "default": False},
            "purge": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            **CERTIFICATE,
            **KUBERNETES,
            **PLACEMENT,
            **WAIT,
        },
        supports_check_mode=True,
    )
    outcome.run(module, gateway.ensure)


if __name__ == "__main__":
    main()
