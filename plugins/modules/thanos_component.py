#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: thanos_component
short_description: Deploy a component of Thanos in the observer
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Deploys one component of Thanos into a Kubernetes cluster, with Services, volumes, certificates and configuration,
    and waits until it is ready. Nothing but the API of the cluster is needed, no Helm and no operator.
  - Pods run without privileges, with a read-only root file system and without a token of the Kubernetes API.
  - gRPC between components is mutual TLS 1.3 with certificates of the authority C(internal), which is made once and
    kept as a Secret in the namespace. So is remote write to receive, which accepts the certificate of the gateway and
    no other.
  - What is removed from the description is removed from the cluster. Volumes stay unless O(purge) says otherwise.
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.kubernetes
  - scs.observability.placement
  - scs.observability.wait
options:
  component:
    description:
      - V(receive) takes remote write from the gateway, keeps one database per cluster and uploads its blocks.
      - V(store) serves the blocks in the bucket.
      - V(query) is one view over receive, store gateways and sidecars, replicas deduplicated.
      - V(query_frontend) is what people and dashboards ask; it splits long queries and caches their parts.
      - V(rule) evaluates Prometheus rules over what query sees, keeps what they record, and tells Alertmanagers what
        fires.
      - V(compact) joins and downsamples the blocks in the bucket, and removes what is older than its retention. A
        bucket must have no other compactor. Blocks of replicas become one, sample by sample; where pairs of Prometheus
        upload to the bucket, put C(--deduplication.func=penalty) into O(extra_args).
      - V(bucket_web) shows which blocks are in the bucket.
    type: str
    required: true
    choices: [bucket_web, compact, query, query_frontend, receive, rule, store]
  name:
    description:
      - What the component's objects are called, a DNS label. V(thanos-) and the component, with dashes, unless given.
    type: str
  namespace:
    description: The namespace, made when it is missing. One that somebody else made is used and left.
    type: str
    default: scs-observability
  state:
    description:
      - V(present) brings the component to what is described here.
      - V(absent) removes what was made for it, its pods first. Receive then uploads what it has in memory, which
        O(wait) waits for.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: Image reference of Thanos 0.42 or newer. The version that this release was tested with unless given.
    type: str
  allow_downgrade:
    description:
      - Whether the version in the tag of O(image) may be older than that of the running component. A newer Thanos may
        have written what an older one cannot read.
    type: bool
    default: false
  replicas:
    description:
      - Number of pods. There can be only one receive and one compact.
      - Of several, a PodDisruptionBudget keeps all but one during the maintenance of nodes, and they are on different
        nodes where there are enough, unless O(affinity) says otherwise.
    type: int
    default: 1
  resources:
    description:
      - Resources of the container, with C(requests) and C(limits) as Kubernetes has them. They replace the defaults of
        the component as a whole.
    type: dict
  storage_size:
    description:
      - Size of the volume of each pod, for V(receive) (V(10Gi) unless given), V(compact) (V(20Gi)), V(rule) (V(5Gi))
        and V(store), whose cache goes with the pod unless given.
      - Compact needs room for the blocks that it joins, of the largest cluster about twice what two weeks of it are.
      - It cannot be changed later on.
    type: str
  storage_class:
    description: Storage class of the volumes; the cluster's default unless given.
    type: str
  endpoints:
    description:
      - For O(component=query), the StoreAPI endpoints to read from, as RV(endpoints.grpc) returns them. That is
        C(host:port), or a name to look up like C(dns+host:port) or C(dnssrv+name), without a scheme.
      - A change of query's endpoints arrives in its pods within two minutes, without a restart.
      - For O(component=query_frontend), the one URL of query, as RV(endpoints.http) returns it. For O(component=rule),
        one or several of them.
      - Components that would ask one another in a circle are refused.
    type: list
    elements: str
  external_endpoints:
    description:
      - For O(component=query), StoreAPI endpoints with another TLS than the components of this observer, such as the
        sidecars of the IaaS layer or another observer. They arrive like O(endpoints).
      - Certificates of an endpoint that is there already are used for its next connection.
    type: list
    elements: dict
    suboptions:
      address:
        description: Of the form C(host:port). A name is connected to as it is, it does not stand for several.
        type: str
        required: true
      server_name:
        description: Name in the endpoint's certificate, where it is not the host of the address.
        type: str
      ca:
        description: Certificates (PEM) by which the endpoint is known. The authority C(internal) unless given.
        type: str
      certificate:
        description: Certificate (PEM) that is shown to the endpoint. The component's own unless given.
        type: str
      key:
        description: Key (PEM) of the certificate.
        type: str
  objstore:
    description:
      - The object store for V(store), V(compact) and V(bucket_web), which need one, and for V(receive) and V(rule),
        which keep their blocks to themselves without.
      - As M(scs.observability.bucket) returns it, that is Thanos' own format without credentials.
      - For O(component=compact) an object in the bucket says whose it is, and a second compactor is refused with the
        name of the first, see O(take_over_bucket). With O(state=absent), or with another bucket, the one that the
        compactor leaves is given free once its pod has ended; where the store cannot be reached there is a warning.
      - With O(state=absent) only needed to give free the bucket of a compactor that was removed without that. Unless
        given, it comes from the compactor's Secret.
    type: dict
  objstore_access_key:
    description: Access key of the object store. Needs O(objstore_secret_key).
    type: str
  objstore_secret_key:
    description: Secret key of the object store.
    type: str
  objstore_ca:
    description:
      - Certificates (PEM) by which the object store is known. The ones that the image brings along unless given.
    type: str
  retention:
    description:
      - How long O(component=receive) and O(component=rule) keep blocks on their own volume, a duration such as V(2d),
        at least V(6h). With V(0) they are never removed, and in the end the volume is full.
      - V(2d) with an object store, where blocks stay, and for receive V(15d) without, unless given.
    type: str
  limits:
    description:
      - What O(component=receive) takes of one cluster. None unless given; V(0) is no limit, too. A change restarts it.
    type: dict
    suboptions:
      series:
        description:
          - How many series a cluster may have at once. All that one with more sends is refused with 429 until it has
            less, which takes some hours. Its agent keeps the samples and sends them later. The others do not notice.
          - Receive asks O(limits.metrics_url) every 15 seconds, so a cluster may have more for a while. Without an
            answer there is no limit.
        type: int
      clusters:
        description: Other numbers of series for some clusters, by name. They hold instead of O(limits.series).
        type: dict
      metrics_url:
        description:
          - A Prometheus that scrapes this receive. The observer's own unless given, which is the Service
            C(prometheus) in O(namespace).
        type: str
      request_series:
        description:
          - How many series a request may have, at least V(2000), which is what an agent sends. An agent drops what is
            beyond it.
        type: int
      request_samples:
        description: How many samples a request may have, at least V(2000). An agent drops what is beyond it.
        type: int
      request_bytes:
        description: How large a request may be, decompressed, such as V(8Mi), at least V(1Mi).
        type: str
  retention_raw:
    description:
      - How long O(component=compact) keeps samples as they were written, a duration such as V(30d). For ever unless
        given, and for V(0).
      - With O(downsampling) at least V(40h), because blocks are downsampled when they span that.
    type: str
  retention_5m:
    description:
      - How long O(component=compact) keeps samples of five minutes. For ever unless given, and for V(0).
      - With O(downsampling) at least V(10d), and not shorter than O(retention_raw).
    type: str
  retention_1h:
    description:
      - How long O(component=compact) keeps samples of one hour. For ever unless given, and for V(0).
      - Not shorter than O(retention_5m).
    type: str
  downsampling:
    description: Whether O(component=compact) makes samples of five minutes and of one hour, for queries over long time.
    type: bool
    default: true
  delete_delay:
    description:
      - How long O(component=compact) leaves a block that it replaced or that is too old, so that nobody who reads it is
        interrupted. V(48h) unless given.
    type: str
  rules:
    description:
      - What O(component=rule) evaluates, as names of files (C(kaas.yml)) with their content in Prometheus' format, as
        text or as structure. A file of another form is refused.
      - A change restarts the pods, and one rule that cannot be loaded keeps them from starting. Expressions are
        therefore tried on the query in O(endpoints), where that runs in O(namespace) already and the kubeconfig may
        C(get) C(services/proxy). Templates in labels and annotations are not tried; C(promtool check rules) does.
      - Texts with templates like C({{ $labels.cluster }}) stay as they are when they come from a lookup.
    type: dict
  evaluation_interval:
    description:
      - How often O(component=rule) evaluates groups that do not say so themselves, between V(1s) and V(1d).
        V(1m) unless given.
    type: str
  external_labels:
    description:
      - Labels that O(component=rule) puts to what it records and to alerts, such as C(observer), beside
        C(ruler_replica), which is always there.
      - The label of clusters (O(tenant_label)) is refused, as it would replace that of every recorded series.
    type: dict
  alertmanagers:
    description: URLs of the Alertmanagers that O(component=rule) tells about alerts, of all replicas of each.
    type: list
    elements: str
  cache:
    description:
      - The cache of O(component=store) for indexes (Thanos' index cache) and of O(component=query_frontend) for
        answers (its response cache), with C(type) (V(IN-MEMORY), V(MEMCACHED) or V(REDIS)) and C(config) as Thanos has
        them. In memory unless given.
    type: dict
  bucket_cache:
    description: The cache of O(component=store) for chunks and lists of blocks, in Thanos' format. None unless given.
    type: dict
  cache_password:
    description: Password of the Redis of O(cache) and O(bucket_cache).
    type: str
  tls:
    description:
      - Whether components know each other by certificates. Without it everything that reaches a port is served, also
        by remote write, so turn it off only where something else protects the ports. All components must agree.
    type: bool
    default: true
  tenant_header:
    description: HTTP header by which the gateway tells O(component=receive) whose samples it brings.
    type: str
    default: THANOS-TENANT
  tenant_label:
    description: Label that O(component=receive) gives all series of a cluster, with the cluster's name.
    type: str
    default: cluster
  extra_args:
    description:
      - Further arguments for Thanos, each of the form C(--flag=value) or C(--switch).
      - One that contradicts a parameter, or what security and wiring rest on, is refused. So is one that is there twice
        where Thanos takes it once.
    type: list
    elements: str
  log_level:
    description: One of V(debug), V(info), V(warn) and V(error).
    type: str
    default: info
  service_type:
    description:
      - Type of the Service, one of V(ClusterIP), V(NodePort) and V(LoadBalancer). Others than V(ClusterIP) are for
        V(query), V(query_frontend) and V(bucket_web) only. These speak plain HTTP and ask nobody who they are.
    type: str
    default: ClusterIP
  node_port:
    description: Node port for HTTP. V(0) lets the cluster choose.
    type: int
  service_monitor:
    description:
      - Whether there is a ServiceMonitor, by which a Prometheus of the Prometheus Operator finds the component.
      - One of V(auto), V(always), V(expected) and V(never). V(auto) makes one where the cluster knows that kind,
        V(always) fails elsewhere.
      - V(expected) is V(always) behind M(scs.observability.prometheus_operator), which brings the kind. In check mode,
        where that has not happened, it is taken for granted.
    type: str
    default: auto
  purge:
    description:
      - With O(state=absent), remove the volumes with their data too.
      - The purge of the last component also removes the authorities and the namespace, unless it holds something else,
        somebody else made it, or clusters are still registered.
    type: bool
    default: false
  force:
    description: Take over fields that another field manager owns.
    type: bool
    default: false
  take_over_bucket:
    description:
      - For O(component=compact), take the bucket over from another compactor, which must be gone for good. It is not
        stopped by that, and two of them destroy blocks.
    type: bool
    default: false
notes:
  - For O(component=compact) the module needs the verb C(get) on the namespace C(kube-system), whose UID tells in the
    bucket which cluster its compactor is in. Without it a compactor is not deployed; it is removed with a warning.
seealso:
  - module: scs.observability.bucket
  - module: scs.observability.remote_write_gateway
  - name: Thanos components
    description: What each component does, and its flags.
    link: https://thanos.io/tip/thanos/getting-started.md/
"""

EXAMPLES = r"""
- name: Have a bucket
  scs.observability.bucket:
    name: metrics
    endpoint: https://s3.example.org
    access_key: "{{ s3_access_key }}"
    secret_key: "{{ s3_secret_key }}"
  register: bucket

- name: Receive takes what the gateway lets in
  scs.observability.thanos_component:
    component: receive
    storage_size: 50Gi
    objstore: "{{ bucket.objstore }}"
    objstore_access_key: "{{ s3_access_key }}"
    objstore_secret_key: "{{ s3_secret_key }}"
  register: receive

- name: Store gateway serves the blocks in the bucket
  scs.observability.thanos_component:
    component: store
    storage_size: 10Gi
    objstore: "{{ bucket.objstore }}"
    objstore_access_key: "{{ s3_access_key }}"
    objstore_secret_key: "{{ s3_secret_key }}"
  register: store

- name: Query joins them
  scs.observability.thanos_component:
    component: query
    replicas: 2
    endpoints:
      - "{{ receive.endpoints.grpc }}"
      - "{{ store.endpoints.grpc }}"
    extra_args:
      - --query.timeout=5m
  register: query

- name: Query frontend is what dashboards ask
  scs.observability.thanos_component:
    component: query_frontend
    endpoints:
      - "{{ query.endpoints.http }}"

- name: Query reads the sidecars of the IaaS layer too, which have an authority of their own
  scs.observability.thanos_component:
    component: query
    replicas: 2
    endpoints:
      - "{{ receive.endpoints.grpc }}"
      - "{{ store.endpoints.grpc }}"
    external_endpoints:
      - address: control-1.example.org:10901
        ca: "{{ lookup('ansible.builtin.file', 'iaas-ca.pem', rstrip=false) }}"

- name: Compact keeps two months as they were written, and two years downsampled
  scs.observability.thanos_component:
    component: compact
    storage_size: 200Gi
    retention_raw: 60d
    retention_5m: 180d
    retention_1h: 2y
    objstore: "{{ bucket.objstore }}"
    objstore_access_key: "{{ s3_access_key }}"
    objstore_secret_key: "{{ s3_secret_key }}"

- name: Rule evaluates what is in a file beside the playbook
  scs.observability.thanos_component:
    component: rule
    endpoints:
      - "{{ query.endpoints.http }}"
    alertmanagers:
      - http://alertmanager.monitoring.svc:9093
    external_labels:
      observer: site-1
    rules:
      kaas.yml: "{{ lookup('ansible.builtin.file', 'rules/kaas.yml') }}"
      own.yml:
        groups:
          - name: own
            rules:
              - record: cluster:up:count
                expr: count by (cluster) (up)

- name: Store gateway shares a cache with its replicas
  scs.observability.thanos_component:
    component: store
    replicas: 2
    cache:
      type: REDIS
      config:
        addr: redis.caches.svc:6379
    cache_password: "{{ redis_password }}"
    objstore: "{{ bucket.objstore }}"
    objstore_access_key: "{{ s3_access_key }}"
    objstore_secret_key: "{{ s3_secret_key }}"

- name: Remove the store gateway with its cache
  scs.observability.thanos_component:
    component: store
    state: absent
    purge: true
"""

RETURN = r"""
name:
  description: What the component's objects are called.
  returned: success
  type: str
  sample: thanos-receive
namespace:
  description: The namespace they are in.
  returned: success
  type: str
  sample: scs-observability
endpoints:
  description:
    - Where others reach the component. They follow from the parameters, so check mode returns them too. Empty for
      O(state=absent).
  returned: success
  type: dict
  contains:
    http:
      description: URL for queries, metrics and probes.
      returned: always
      type: str
      sample: http://thanos-query.scs-observability.svc:10902
    grpc:
      description: Endpoint of the StoreAPI in the notation of Thanos, for O(endpoints) of query.
      returned: for query, receive, rule and store
      type: str
      sample: dnssrv+_grpc._tcp.thanos-receive-headless.scs-observability.svc
    remote_write:
      description: URL for the gateway to write to.
      returned: for receive
      type: str
      sample: https://thanos-receive.scs-observability.svc:19291/api/v1/receive
changes:
  description:
    - What was changed, or would be in check mode, one line per object. C(CompactorClaim) is the object in the bucket
      that says whose it is.
  returned: success
  type: list
  elements: str
  sample: ["create apps/v1 StatefulSet scs-observability/thanos-receive"]
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import (
    EXTERNAL_ENDPOINTS,
    KUBERNETES,
    PLACEMENT,
    WAIT,
)
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._observer import thanos


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "required": True, "choices": sorted(thanos.COMPONENTS)},
            "name": {"type": "str"},
            "namespace": {"type": "str", "default": "scs-observability"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "image": {"type": "str"},
            "allow_downgrade": {"type": "bool", "default": False},
            "replicas": {"type": "int", "default": 1},
            "resources": {"type": "dict"},
            "storage_size": {"type": "str"},
            "storage_class": {"type": "str"},
            "endpoints": {"type": "list", "elements": "str"},
            "external_endpoints": EXTERNAL_ENDPOINTS,
            "objstore": {"type": "dict"},
            # Names a key. Hidden, it would also be blotted out where it is part of another name.
            "objstore_access_key": {"type": "str", "no_log": False},
            "objstore_secret_key": {"type": "str", "no_log": True},
            "objstore_ca": {"type": "str"},
            "retention": {"type": "str"},
            "limits": {
                "type": "dict",
                "options": {
                    "series": {"type": "int"},
                    "clusters": {"type": "dict"},
                    "metrics_url": {"type": "str"},
                    "request_series": {"type": "int"},
                    "request_samples": {"type": "int"},
                    "request_bytes": {"type": "str"},
                },
            },
            "retention_raw": {"type": "str"},
            "retention_5m": {"type": "str"},
            "retention_1h": {"type": "str"},
            "downsampling": {"type": "bool", "default": True},
            "delete_delay": {"type": "str"},
            "rules": {"type": "dict"},
            "evaluation_interval": {"type": "str"},
            "external_labels": {"type": "dict"},
            "alertmanagers": {"type": "list", "elements": "str"},
            "cache": {"type": "dict"},
            "bucket_cache": {"type": "dict"},
            "cache_password": {"type": "str", "no_log": True},
            "tls": {"type": "bool", "default": True},
            "tenant_header": {"type": "str", "default": "THANOS-TENANT"},
            "tenant_label": {"type": "str", "default": "cluster"},
            "extra_args": {"type": "list", "elements": "str"},
            "log_level": {"type": "str", "default": "info"},
            "service_type": {"type": "str", "default": "ClusterIP"},
            "node_port": {"type": "int"},
            "service_monitor": {"type": "str", "default": "auto"},
            "purge": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "take_over_bucket": {"type": "bool", "default": False},
            **KUBERNETES,
            **PLACEMENT,
            **WAIT,
        },
        supports_check_mode=True,
    )
    outcome.run(module, thanos.ensure)


if __name__ == "__main__":
    main()
