#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: kind_cluster
short_description: A Kubernetes cluster that KinD makes of containers on one machine
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Makes a cluster with KinD (Kubernetes in Docker) where the module runs, and waits until it has a ready node, DNS,
    kube-proxy and a default storage class.
  - A cluster whose nodes were stopped, such as by a restart of the machine, is started again.
  - What KinD is asked for cannot be changed in place. A cluster that is there with something else, or that was left
    half-made, is refused, with how to go on; O(recreate=true) makes it anew.
  - Names, addresses and ports that cannot be, or are taken, are refused before anything is touched, all at once.
  - The kubeconfig goes into a file that only its owner can read, and nowhere else. A kubeconfig of another cluster is
    never written over.
extends_documentation_fragment:
  - scs.observability.attributes
requirements:
  - docker, with an engine that this user may use
  - kind (KinD), unless O(state=absent)
  - Python 3.11 or newer
options:
  name:
    description: Name of the cluster, a DNS label of at most 49 characters. Its containers begin with it.
    type: str
    required: true
  state:
    description:
      - Whether the cluster exists.
      - V(absent) removes its containers with everything in them, and O(kubeconfig). The network of the container engine
        stays, as other clusters may use it.
    type: str
    choices: [present, absent]
    default: present
  recreate:
    description:
      - Make a cluster anew that is there with something else than is asked for, or half-made. Everything in it is lost.
      - A cluster that is as it is wanted is left alone.
    type: bool
    default: false
  kubeconfig:
    description:
      - File, where the module runs, for the kubeconfig of an administrator.
      - Required when O(state=present).
    type: path
  image:
    description: Image of the nodes, which decides the version of Kubernetes. KinD's own choice when empty.
    type: str
  workers:
    description: Number of nodes beside the control plane.
    type: int
    default: 0
  ports:
    description: Ports of the control plane's node that are reached through ports of the machine; no others are.
    type: list
    elements: dict
    suboptions:
      node_port:
        description: The port of the node, such as a Service's node port.
        type: int
        required: true
      host_port:
        description: The port of the machine.
        type: int
        required: true
      listen_address:
        description: The address of the machine. V(0.0.0.0) opens the port to whoever reaches the machine.
        type: str
        default: 127.0.0.1
      protocol:
        description: The protocol.
        type: str
        choices: [TCP, UDP, SCTP]
        default: TCP
  api_server_address:
    description: The address of the machine where the API server listens. Whoever reaches it can try to log in.
    type: str
    default: 127.0.0.1
  api_server_port:
    description: The port there; one that is free when it is V(0).
    type: int
    default: 0
  api_server_names:
    description:
      - Names and addresses, beside O(api_server_address), by which the API server is reached. They go into its
        certificate, and the first of them into the kubeconfig.
    type: list
    elements: str
  network:
    description: Network of the container engine for the nodes, made when it is missing. KinD's own when empty.
    type: str
  config:
    description:
      - What else KinD is to be told, as its configuration (C(kind.x-k8s.io/v1alpha4)) has it, such as C(networking),
        C(featureGates), C(kubeadmConfigPatches) or C(containerdConfigPatches).
      - Credentials in C(containerdConfigPatches) are hidden, and a diff tells only that O(config) is another one.
    type: dict
  kind:
    description: The program KinD, a path or a name that is looked up.
    type: str
    default: kind
  wait_timeout:
    description: Seconds that the cluster has to become ready.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: A cluster for the observer
  scs.observability.kind_cluster:
    name: observer
    kubeconfig: /etc/observability/kubeconfigs/observer-1.yaml
    ports:
      - node_port: 30443
        host_port: 443
        listen_address: 0.0.0.0

- name: One that is reached from elsewhere
  scs.observability.kind_cluster:
    name: observer
    kubeconfig: /root/.kube/observer.yaml
    api_server_address: 0.0.0.0
    api_server_port: 6443
    api_server_names: [observer-host.example.com]

- name: Away with it
  scs.observability.kind_cluster:
    name: observer
    kubeconfig: /etc/observability/kubeconfigs/observer-1.yaml
    state: absent
"""

RETURN = r"""
name:
  description: Name of the cluster.
  returned: success
  type: str
  sample: observer
context:
  description: The context in the kubeconfig.
  returned: success
  type: str
  sample: kind-observer
kubeconfig:
  description: Path of the kubeconfig.
  returned: success
  type: str
  sample: /root/.kube/observer.yaml
server:
  description: URL of the API server in the kubeconfig; none when there is no cluster.
  returned: success
  type: str
  sample: https://127.0.0.1:41913
changes:
  description: What was changed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [create KinD cluster observer, write kubeconfig /root/.kube/observer.yaml]
error:
  description: Kind of the error.
  returned: failure
  type: str
  sample: kind_error
problems:
  description: Everything that is wrong with the parameters.
  returned: when more than one is
  type: list
  elements: str
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._kind.cluster import ensure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "recreate": {"type": "bool", "default": False},
            "kubeconfig": {"type": "path"},
            "image": {"type": "str"},
            "workers": {"type": "int", "default": 0},
            "ports": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "node_port": {"type": "int", "required": True},
                    "host_port": {"type": "int", "required": True},
                    "listen_address": {"type": "str", "default": "127.0.0.1"},
                    "protocol": {"type": "str", "choices": ["TCP", "UDP", "SCTP"], "default": "TCP"},
                },
            },
            "api_server_address": {"type": "str", "default": "127.0.0.1"},
            "api_server_port": {"type": "int", "default": 0},
            "api_server_names": {"type": "list", "elements": "str"},
            "network": {"type": "str"},
            "config": {"type": "dict"},
            "kind": {"type": "str", "default": "kind"},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    outcome.run(module, ensure)


if __name__ == "__main__":
    main()
