#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: osism_thanos_sidecar
short_description: A Thanos sidecar beside the Prometheus that kolla has deployed on a host
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Runs a Thanos sidecar in a container beside kolla's Prometheus, on the host where the module runs, and waits until
    it is ready. An observer reads the metrics of the IaaS layer from it (StoreAPI over mutual TLS 1.3), and with
    O(objstore) it uploads the blocks of Prometheus to a bucket.
  - Where Prometheus is, its user and its volume are read from its container, and its external labels, flags and version
    from its API. Containers of kolla are never touched.
  - What would not work is refused before anything changes, all at once, such as a Prometheus without external labels or
    with others than O(expected_labels), credentials that it refuses, blocks of unequal durations that were to be
    uploaded, a port that is taken, an address that is not one of this host, or a certificate for another name.
  - The container has no privileges, a read-only root file system, limited memory, the user of Prometheus, and its
    volume only where blocks are uploaded. It is made anew when it is not what it was made as.
  - Certificates that take the place of others of the same authority are used for the next connection, without a
    restart.
extends_documentation_fragment:
  - scs.observability.attributes
requirements:
  - the container engine Docker, and root on the host
  - Python 3.11 or newer, and nothing beside it
options:
  state:
    description:
      - V(present) has a sidecar that is as described here.
      - V(suspended) removes its container and keeps its files. A volume of Prometheus cannot be moved by an upgrade
        of kolla while a sidecar holds it, so it has to be suspended before. V(present) brings it back.
      - V(absent) removes the container and its files. What Thanos has noted in Prometheus' volume, the blocks in a
        bucket, and the image stay.
    type: str
    choices: [present, suspended, absent]
    default: present
  container:
    description: The container of Prometheus.
    type: str
    default: prometheus_server
  name:
    description: What the sidecar's container is called, and its folder in O(directory).
    type: str
    default: prometheus_thanos_sidecar
  directory:
    description:
      - Folder on the host, which only root gets into, where the sidecar has its files, and the module what it was
        given.
    type: path
    default: /etc/scs-observability
  docker_host:
    description:
      - Socket of the container engine. The environment variable E(DOCKER_HOST), or V(unix:///var/run/docker.sock),
        unless given.
    type: str
  image:
    description:
      - Image reference of Thanos 0.42 or newer. The version that this release was tested with unless given.
      - One that is not on the host is pulled, for which the engine must need no login. In check mode its registry is
        asked whether it could be.
    type: str
  grpc_address:
    description:
      - The IP address of the host where the observer reaches the sidecar. The one that Prometheus listens on unless
        given.
      - It must be the host's own, not a virtual one.
    type: str
  grpc_port:
    description: The port there. V(10901) unless given.
    type: int
  http_address:
    description: The IP address of the host for the sidecar's own metrics. V(127.0.0.1) unless given.
    type: str
  http_port:
    description: The port there. V(10902) unless given.
    type: int
  server_name:
    description:
      - The name or address by which the observer knows the sidecar. A certificate that is not for it is refused.
    type: str
  expected_labels:
    description:
      - External labels that Prometheus has to have, beside others, such as C(layer) and C(region), by which the
        observer knows its series. A Prometheus without them is refused.
    type: dict
  prometheus_user:
    description:
      - User that Prometheus lets in. kolla's Prometheus wants one; the web configuration has only a hash of the
        password.
    type: str
  prometheus_password:
    description: Password of O(prometheus_user).
    type: str
  tls_certificate:
    description:
      - The sidecar's certificate (PEM) as a server.
      - Required together with O(tls_key) and O(tls_client_ca) when O(state=present), unless the sidecar was made by
        this module before. Without the three of them, what is not given is what was given the last time.
    type: str
  tls_key:
    description: Key (PEM) of the certificate, not encrypted.
    type: str
  tls_client_ca:
    description:
      - Certificates (PEM) of the authorities whose clients may read. That is the authority C(internal) of the observer.
      - A change restarts the sidecar.
    type: str
  objstore:
    description:
      - The object store for uploads, as M(scs.observability.bucket) returns it, that is Thanos' own format without
        credentials. Nothing is uploaded unless given.
      - Needs an external label C(replica), as blocks of two Prometheuses that have the same labels overlap, on which
        Thanos' compactor halts.
      - Needs blocks of one duration, C(--storage.tsdb.min-block-duration=2h --storage.tsdb.max-block-duration=2h) in
        C(prometheus_cmdline_extras) of kolla.
    type: dict
  objstore_access_key:
    description: Access key of the object store. Needs O(objstore_secret_key).
    type: str
  objstore_secret_key:
    description: Secret key of the object store.
    type: str
  objstore_ca:
    description: Certificates (PEM) by which the object store is known. The ones in the image unless given.
    type: str
  resources:
    description:
      - What the container may take at most, with C(memory), such as V(512Mi) (V(1Gi) unless given), and C(cpus), such
        as V(0.5) (no limit unless given). V(0) is no limit.
    type: dict
  log_level:
    description: One of V(debug), V(info), V(warn) and V(error). V(info) unless given.
    type: str
  wait_timeout:
    description: Seconds that Prometheus, and then the sidecar, have to answer.
    type: int
    default: 120
seealso:
  - module: scs.observability.bucket
  - name: Thanos sidecar
    description: What it does, and its flags.
    link: https://thanos.io/tip/components/sidecar.md/
"""

EXAMPLES = r"""
- name: A sidecar that the observer reads
  scs.observability.osism_thanos_sidecar:
    prometheus_user: thanos
    prometheus_password: "{{ prometheus_thanos_password }}"
    server_name: control-1.example.org
    expected_labels: {layer: iaas, region: RegionOne}
    tls_certificate: "{{ lookup('ansible.builtin.file', 'control-1.crt', rstrip=false) }}"
    tls_key: "{{ lookup('ansible.builtin.file', 'control-1.key', rstrip=false) }}"
    tls_client_ca: "{{ lookup('ansible.builtin.file', 'internal.crt', rstrip=false) }}"
  become: true

- name: One that uploads too
  scs.observability.osism_thanos_sidecar:
    prometheus_user: thanos
    prometheus_password: "{{ prometheus_thanos_password }}"
    tls_certificate: "{{ sidecar_certificate }}"
    tls_key: "{{ sidecar_key }}"
    tls_client_ca: "{{ sidecar_client_ca }}"
    objstore: "{{ bucket.objstore }}"
    objstore_access_key: "{{ s3_access_key }}"
    objstore_secret_key: "{{ s3_secret_key }}"
    resources:
      memory: 2Gi
      cpus: 1
  become: true

- name: Out of the way of an upgrade
  scs.observability.osism_thanos_sidecar:
    state: suspended
  become: true

- name: Back, as it was
  scs.observability.osism_thanos_sidecar:
    state: present
  become: true
"""

RETURN = r"""
container:
  description: The container of Prometheus.
  returned: success
  type: str
  sample: prometheus_server
state:
  description: What O(state) asked for.
  returned: success
  type: str
  sample: present
volume:
  description: The volume that the sidecar shares with Prometheus; none when nothing is uploaded.
  returned: when O(state=present)
  type: str
  sample: prometheus_server
external_labels:
  description: The external labels of Prometheus, which all series that are read have.
  returned: when O(state=present)
  type: dict
  sample: {layer: iaas, region: RegionOne, replica: control-1}
version:
  description: The version of Prometheus.
  returned: when O(state=present)
  type: str
  sample: 3.2.1
endpoint:
  description: Where the sidecar listens for the observer.
  returned: when O(state=present)
  type: str
  sample: 192.0.2.10:10901
expires:
  description: When the sidecar's certificate expires.
  returned: when O(state=present)
  type: str
  sample: "2027-01-31T12:00:00+00:00"
changes:
  description: What was changed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [create container prometheus_thanos_sidecar]
error:
  description: Kind of the error.
  returned: failure
  type: str
  sample: input_error
problems:
  description: Everything that stands in the way.
  returned: when more than one thing does
  type: list
  elements: str
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._osism.operation import ensure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "suspended", "absent"], "default": "present"},
            "container": {"type": "str", "default": "prometheus_server"},
            "name": {"type": "str", "default": "prometheus_thanos_sidecar"},
            "directory": {"type": "path", "default": "/etc/scs-observability"},
            "docker_host": {"type": "str"},
            "image": {"type": "str"},
            "grpc_address": {"type": "str"},
            "grpc_port": {"type": "int"},
            "http_address": {"type": "str"},
            "http_port": {"type": "int"},
            "server_name": {"type": "str"},
            "expected_labels": {"type": "dict"},
            "prometheus_user": {"type": "str"},
            "prometheus_password": {"type": "str", "no_log": True},
            "tls_certificate": {"type": "str"},
            "tls_key": {"type": "str", "no_log": True},
            "tls_client_ca": {"type": "str"},
            "objstore": {"type": "dict"},
            "objstore_access_key": {"type": "str", "no_log": False},
            "objstore_secret_key": {"type": "str", "no_log": True},
            "objstore_ca": {"type": "str"},
            "resources": {"type": "dict"},
            "log_level": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    outcome.run(module, ensure)


if __name__ == "__main__":
    main()
