#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: iaas_registration
short_description: Register a Prometheus of the IaaS layer with an observer, with proof that its metrics are there
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Registers the Prometheus of a region (that of OSISM and kolla-ansible, for example) with an observer, as an object
    C(IaaSPrometheus) in the observer's cluster. Its metrics come by one path or several. With O(pull_address) query
    asks a Thanos sidecar beside it, with O(upload) the sidecar uploads blocks to a bucket that the observer's store
    gateway serves, with O(remote_write) the Prometheus writes to the observer's gateway.
  - Signs the certificates of these paths, keeps them in Secrets in the observer's namespace, and returns them with
    O(issue). That of the sidecar is one of the authority C(internal) for a name that nothing else has. The one to
    write with is of the authority C(tenants), as those of agents are.
  - Query asks a new sidecar within seconds, without a restart. The gateway lets the Prometheus in as soon.
  - Nothing is done on the host of the Prometheus. Its external labels have to be C(layer=iaas) and C(region=REGION),
    and a C(replica) where there are several for one region.
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.kubernetes
options:
  name:
    description:
      - What it is called, a DNS label of at most 50 characters. It is the common name of its certificates and the
        tenant of what it writes, so no cluster may have it.
      - With several Prometheuses in a region, each has a registration.
    type: str
    required: true
  region:
    description: The region, as its external label says. Required for O(state=present).
    type: str
  state:
    description:
      - V(present) registers it by just the paths that are given. What was there for others is removed.
      - V(absent) removes the registration, its certificates, its entry at the gateway and the endpoint that query asks.
        Metrics in the bucket stay.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description: The namespace of the observer.
    type: str
    default: scs-observability
  query_frontend:
    description: Name of the Service of the observer's query API.
    type: str
    default: thanos-query-frontend
  pull_address:
    description:
      - Where the observer's pods reach the gRPC port of its sidecar, as C(host:port).
      - Of the NetworkPolicies of an observer with C(observer_network_policies_egress) only port 10901 is open.
    type: str
  upload:
    description: Whether its sidecar uploads blocks.
    type: bool
    default: false
  remote_write:
    description: Whether it writes to the gateway.
    type: bool
    default: false
  remote_write_url:
    description: The address of the gateway, which is returned as it is given. Required with O(remote_write=true).
    type: str
  remote_write_ca:
    description:
      - Certificates (PEM) by which it is to know the gateway. Without them, that of the observer's authority
        C(internal).
    type: str
  issue:
    description:
      - Whether to return the certificates and keys. Give the task C(no_log) then, as it is not known to Ansible that
        what is returned is secret.
    type: bool
    default: false
  renew:
    description:
      - Whether to make other certificates although those that are there are good. They are made anew without being
        asked for when 80 % of their life is over. Every run with it makes other ones.
      - The former client certificate is let in beside the new one until it expires, as it is in use until kolla is
        reconfigured. Another renewal shuts it out at once, for example when its key is known to others.
    type: bool
    default: false
  keep_sidecar:
    description:
      - Whether to leave the certificate of the sidecar, and whom it lets in, as they are, if there are any. For who
        brings nothing but the certificate of O(remote_write) to the host. What the observer has is then what the
        sidecar has, by which M(scs.observability.authority) sees whether it may go on with a rotation.
    type: bool
    default: false
  proof:
    description:
      - Whether to wait until its metrics are read back. Say V(false) to have certificates before anything runs there,
        and call the module once more when it does.
    type: bool
    default: true
  proof_timeout:
    description: Seconds to wait at most for that.
    type: int
    default: 120
  force:
    description: Take over fields that another field manager owns.
    type: bool
    default: false
notes:
  - When its metrics were read back is written into the status of the registration. It is what was observed, so it does
    not count as a change.
  - It needs the rights in O(namespace) with which the observer was deployed, on both kinds of registrations C(get),
    C(list), C(create), C(patch) and C(delete), and on the status of C(IaaSPrometheus) C(patch). With C(patch) on pods
    query has a new endpoint within seconds, without it after a minute and a half at the latest.
  - Blocks are uploaded after two hours and more. Until then that path is C(pending), which is no failure.
requirements:
  - cryptography 42 or newer
seealso:
  - module: scs.observability.agent_registration
"""

EXAMPLES = r"""
- name: Have certificates for the sidecar of a region, before it runs
  scs.observability.iaas_registration:
    name: north-1
    region: north
    pull_address: 192.0.2.10:10901
    kubeconfig: /etc/kubernetes/observer.kubeconfig
    issue: true
    proof: false
  register: north
  no_log: true

- name: Prove that its metrics are there
  scs.observability.iaas_registration:
    name: north-1
    region: north
    pull_address: 192.0.2.10:10901
    kubeconfig: /etc/kubernetes/observer.kubeconfig

- name: Let it write, and upload blocks
  scs.observability.iaas_registration:
    name: north-1
    region: north
    upload: true
    remote_write: true
    remote_write_url: https://metrics.example.org/api/v1/receive
    kubeconfig: /etc/kubernetes/observer.kubeconfig
    issue: true
    proof: false
  register: north
  no_log: true

- name: Remove it
  scs.observability.iaas_registration:
    name: north-1
    state: absent
    kubeconfig: /etc/kubernetes/observer.kubeconfig
"""

RETURN = r"""
name:
  description: The name.
  returned: success
  type: str
  sample: north-1
state:
  description: As O(state).
  returned: success
  type: str
  sample: present
server_name:
  description: The name in the certificate of the sidecar, by which query knows it. None with O(remote_write) alone.
  returned: success
  type: str
  sample: north-1.iaas.scs-observability.svc
certificates:
  description:
    - Fingerprint (SHA-256) and end of the certificates that are in use, as C(sidecar) and C(remote_write), and as
      C(previous_remote_write) the fingerprint of the former one and when it was C(replaced).
  returned: success
  type: dict
  sample:
    sidecar:
      fingerprint: 0f343b0931126a20f133d67c2b018a3b4bd7a1e2f7b1c1d1f6e0a3c8d5e4f201
      expires: "2027-02-24T09:00:00Z"
sidecar:
  description:
    - What the sidecar needs for its gRPC port, also when it only uploads, PEM texts. None without O(issue), and with
      O(remote_write) alone. In check mode, before there are certificates, others than those that will be made.
  returned: success
  type: dict
  contains:
    certificate:
      description: The server certificate.
      type: str
    key:
      description: Its private key.
      type: str
    client_ca:
      description: The authority of those that may ask.
      type: str
remote_write:
  description: What the Prometheus needs to write. None without O(issue) or O(remote_write).
  returned: success
  type: dict
  contains:
    url:
      description: The address of the gateway.
      type: str
    ca:
      description: By which it knows the gateway.
      type: str
    certificate:
      description: Its client certificate.
      type: str
    key:
      description: The private key of that.
      type: str
proof:
  description:
    - By path (C(pull), C(upload), C(remote_write)) what was found, a C(state) of V(proven) or V(pending) with a
      C(message), the time of the C(newest) sample, and after how many C(seconds). Empty without O(proof).
    - When the proof fails, paths of the state V(missing) have the C(link) of the way that is broken.
  returned: always, but for errors before it
  type: dict
  sample:
    pull:
      state: proven
      message: ""
      newest: "2026-11-26T09:00:00Z"
      seconds: 14.2
link:
  description:
    - Of the first path that failed, the link that is broken, one of V(configuration) (of query), V(dns), V(tcp),
      V(tls), V(labels), V(prometheus), V(remote_write) and V(query), or V(unknown) where the log of query cannot be
      read.
  returned: when the proof fails
  type: str
  sample: tls
changes:
  description: What was changed, or would be in check mode, one line per object.
  returned: success
  type: list
  elements: str
  sample: ["create observability.scs.community/v1alpha1 IaaSPrometheus north-1"]
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import KUBERNETES
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._iaas import registration


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "region": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespace": {"type": "str", "default": "scs-observability"},
            "query_frontend": {"type": "str", "default": "thanos-query-frontend"},
            "pull_address": {"type": "str"},
            "upload": {"type": "bool", "default": False},
            "remote_write": {"type": "bool", "default": False},
            "remote_write_url": {"type": "str"},
            "remote_write_ca": {"type": "str"},
            "issue": {"type": "bool", "default": False},
            "renew": {"type": "bool", "default": False},
            "keep_sidecar": {"type": "bool", "default": False},
            "proof": {"type": "bool", "default": True},
            "proof_timeout": {"type": "int", "default": 120},
            "force": {"type": "bool", "default": False},
            **KUBERNETES,
        },
        supports_check_mode=True,
    )
    outcome.run(module, registration.ensure)


if __name__ == "__main__":
    main()
