#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: agent_registration
short_description: Bring a KaaS cluster on board of an observer, with proof that its metrics arrive
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Registers a Kubernetes cluster of a customer (KaaS) with an observer. Signs the client certificate that is the
    cluster's identity, writes the C(KaaSCluster) registration, and deploys a Prometheus agent, kube-state-metrics and
    node-exporter into one namespace of that cluster.
  - Waits for the proof that it works, namely a sample of this cluster, newer than the start of the run, read through
    the observer's query-frontend. Only then does the cluster become C(active), so that its silence counts as a
    failure.
  - The agent reads no Secrets, and every object, port and cluster role has a name that cannot collide with the
    customer's.
  - Deploy the observer first, with M(scs.observability.thanos_component) and M(scs.observability.remote_write_gateway).
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.kubernetes
  - scs.observability.observer
  - scs.observability.wait
options:
  name:
    description:
      - The cluster's name. It is the common name of its certificate, the Thanos tenant, and the value of the label
        C(cluster) of every series, so it must be a DNS label of 1 to 63 characters.
      - It belongs to the one cluster it was registered for, told by the UID of its namespace C(kube-system). The
        cluster in turn has one agent, which says whose it is. That of another observer is neither replaced (unless
        O(force=true)) nor removed.
      - Required unless there are O(clusters).
    type: str
  clusters:
    description:
      - Many clusters at once. Each has the options of this module that are its own (all but this one, O(name) and
        O(kubeconfig) or O(kubeconfig_content) at least); what it does not say is what is said beside O(clusters) for
        all of them.
      - They are looked at, written to and proven side by side, and what is the same for all is looked at once, by which
        a hundred cost little more than one.
      - A cluster that fails stops no other. The task fails at the end, and RV(clusters) tells what became of each.
        Clusters of the same name, and kubeconfigs that lead to the same cluster, are refused before anything of
        these is touched.
    type: list
    elements: dict
  state:
    description:
      - V(present) registers the cluster and brings its agent to what is described here.
      - V(absent) sets the phase C(deleting), so that the silence to come alerts nobody, removes from the cluster
        exactly what was made, and then removes the registration. Metrics that were collected stay, and their name is
        given to no cluster of another O(customer), until they have expired or O(erase) has removed them.
    type: str
    choices: [present, absent]
    default: present
  phase:
    description:
      - Where in its life the cluster is to be, one of V(provisioning), V(active) and V(maintenance). Legal are
        C(provisioning) to C(active), and C(active) to C(maintenance) and back; the API server of the observer refuses
        everything else.
      - Without it, a registered cluster stays in its phase, and a new one becomes C(active) once its metrics are
        proven.
      - A cluster becomes C(active) at the very end of a run and C(maintenance) at its beginning. In V(maintenance) it
        may be silent, therefore nothing is proven.
    type: str
  customer:
    description: Whose cluster it is. Without it, what is registered stays.
    type: str
  sla:
    description:
      - The class of its service level agreement, one of O(sla_classes). Without it, what is registered stays.
    type: str
  sla_classes:
    description:
      - The classes that there are, required with O(sla). Alertmanager's routes and hours go by the class, so one that
        nobody has would page at night.
    type: list
    elements: str
  contact:
    description: Whom to reach about it. Without it, what is registered stays.
    type: str
  labels:
    description:
      - What else the cluster is to be told by, as labels with texts. Names are those of labels in Prometheus (a letter
        or C(_), then letters, digits and C(_), at most 63 characters), and none that the observer sets itself
        (C(cluster), C(tenant_id), C(observer), C(receive_replica), C(ruler_replica), C(prometheus_replica),
        C(replica)).
      - They become labels of the metric C(kaas_cluster_labels), not of the cluster's own series. All of them are
        replaced. Without it, what is registered stays; with V({}), none are left.
    type: dict
  suspended:
    description:
      - Whether the gateway turns the cluster's agent away for a while, with a status of 503. The agent keeps its
        samples (for some hours, as far as its room allows) and sends them later, unlike one whose
        certificate is not let in any more. Nothing is proven meanwhile.
      - Without it, what is registered stays.
    type: bool
  overrides:
    description:
      - What holds for this cluster alone, in the place of what is given for all of them by the parameters of the same
        name. It stays registered, and in force, for runs without it. With V({}), all of it is removed.
      - What would collect Secrets, or break the list of what is collected, is refused.
    type: dict
    suboptions:
      profile:
        description: What is collected, see O(profile).
        type: str
      scrape_interval:
        description: How often targets are scraped, see O(scrape_interval).
        type: str
      extra_jobs:
        description:
          - Jobs beside those that every agent has, as a list of dictionaries. Each has a C(name), and either
            C(targets), a list of C(host:port), or a Service by C(service), C(namespace) and the number of its C(port),
            of which every pod is scraped. It may have a C(path) (C(/metrics) otherwise), a C(scheme) (V(http) or
            V(https)) and an C(interval).
          - A Service that is not there yet is waited for, see RV(not_collected).
          - An agent has no credentials for what it scrapes, because it must not read Secrets.
        type: list
        elements: dict
      extra_series:
        description:
          - By the name of a job, a list of regular expressions for whole names of metrics that are kept beside those
            of the profile V(minimal).
        type: dict
      resources:
        description: Resources of the containers, see O(resources).
        type: dict
        suboptions:
          agent:
            description: Resources of the Prometheus agent.
            type: dict
          kube_state_metrics:
            description: Resources of kube-state-metrics.
            type: dict
          node_exporter:
            description: Resources of node-exporter.
            type: dict
          blackbox_exporter:
            description: Resources of the blackbox exporter.
            type: dict
      workloads:
        description:
          - Which of the customer's own workloads are scraped, as the job C(workloads). C(namespaces) is a list, and
            C(selector) says which labels a pod there must have, like V(monitoring=true). Nothing else in these
            namespaces is looked at.
          - Scraped is the port that the annotation C(prometheus.io/port) names, otherwise each whose name is
            C(metrics) or ends in C(-metrics). The annotations C(prometheus.io/path), C(prometheus.io/scheme) and
            C(prometheus.io/scrape) (V(false)) are heeded.
        type: dict
      blackbox:
        description:
          - What is probed from inside of the cluster, as the job C(blackbox). C(targets) is a list of dictionaries,
            each with a C(name) and a C(url) (C(http://), C(https://), C(tcp://), C(tls://) or C(dns://)), and with a
            C(module) where the one for the scheme will not do. The modules are those of the role's
            C(observer_endpoints).
          - With it the cluster gets a blackbox exporter, which trusts public authorities and that of the cluster.
        type: dict
  renew:
    description:
      - Whether the agent gets another certificate although its own is good. It gets one without being asked when 80 %
        of the life of its own are over. Every run with it makes another one.
      - No sample is lost. The gateway lets in the new one beside the one before, and the agent takes the new one
        without a restart. The one before is dropped by the first run that comes an hour later or more, which tells it
        as a change; a run before that finds nothing to do. A second renewal within that hour drops it too.
    type: bool
    default: false
  client_certificate:
    description:
      - The agent's certificate (PEM), where the key of the authority C(tenants) is not in the observer. It must be
        signed by that authority itself, be for TLS clients, and have O(name) as its common name.
      - Once it is there, it stays until 80 % of its life are over, also without this parameter.
    type: str
  client_key:
    description: The private key (PEM, not encrypted) of O(client_certificate).
    type: str
  kubeconfig:
    description:
      - Path of the kubeconfig of the KaaS cluster. It is another one than the observer's, which looks after its own.
      - Without it and without O(kubeconfig_content), the environment variables E(K8S_AUTH_KUBECONFIG) and E(KUBECONFIG)
        are tried in this order. Nothing else is, so that no agent gets into the cluster that C(~/.kube/config) happens
        to lead to.
    type: path
  namespace:
    description:
      - The namespace in the KaaS cluster. It is made when it is missing, and removed again with the last thing in it.
        One that somebody else made is used and left.
      - It admits what Pod Security calls C(restricted) alone. What looks at the host, node-exporter, is in another one
        of the same name with C(-nodes) behind it.
      - Without it, the one that is registered, and C(scs-observability) for a new cluster. An agent does not move,
        another namespace than the registered one is refused. Take the cluster off board first.
    type: str
  observer_namespace:
    description: The namespace of the observer's components.
    type: str
    default: scs-observability
  query_frontend:
    description: Name of the Service in O(observer_namespace) whose query API is asked for the proof.
    type: str
    default: thanos-query-frontend
  remote_write_url:
    description:
      - Where the agent writes to, the address of the gateway as pods of the KaaS cluster reach it. Required for
        O(state=present).
    type: str
  remote_write_ca:
    description:
      - Certificates (PEM) by which the agent knows the gateway. Without it, the observer's own authority C(internal).
    type: str
  additional_observers:
    description:
      - Further observers of the same cluster, two at most. It is registered and proven at each, and its agent writes
        to all of them with a certificate of each. One that is away holds up no other.
      - An observer that the agent writes to and that is not named here any more is not dropped but refused, unless
        O(force=true) or it is the one in O(move_from). To leave one of several, use O(state=absent) for that one.
      - What is registered of the cluster at one observer holds for another one that does not know it yet, if it is not
        given.
    type: list
    elements: dict
    suboptions:
      observer_kubeconfig:
        description: Path of its kubeconfig.
        type: path
      observer_kubeconfig_content:
        description: Its kubeconfig as text.
        type: str
      observer_context:
        description: The context of its kubeconfig.
        type: str
      observer_namespace:
        description: The namespace of its components, C(scs-observability) unless given.
        type: str
      query_frontend:
        description: Name of the Service of its query API, C(thanos-query-frontend) unless given.
        type: str
      remote_write_url:
        description: The address of its gateway. Required for O(state=present).
        type: str
      remote_write_ca:
        description: Certificates (PEM) by which the agent knows its gateway.
        type: str
      client_certificate:
        description: A certificate (PEM) for it, where the key of its authority C(tenants) is not there.
        type: str
      client_key:
        description: The private key of that certificate.
        type: str
  move_from:
    description:
      - The observer that the cluster leaves for this one. The agent writes to both until this one has proven that it
        receives, and to the former one no more after that. Then the registration there is removed, as by
        O(state=absent). No sample is lost, and nobody is alerted.
      - An interrupted run is repeated. Once the cluster has moved, this does nothing, whether the former observer
        is there or not. One that does not answer while the agent still writes to it is left with O(force=true).
    type: dict
    suboptions:
      observer_kubeconfig:
        description: Path of its kubeconfig.
        type: path
      observer_kubeconfig_content:
        description: Its kubeconfig as text.
        type: str
      observer_context:
        description: The context of its kubeconfig.
        type: str
      observer_namespace:
        description: The namespace of its components, C(scs-observability) unless given.
        type: str
  scrape_interval:
    description: How often targets are scraped, between V(5s) and V(2m).
    type: str
    default: 30s
  profile:
    description:
      - What is collected. V(minimal) is what rules and dashboards need, V(full) everything the targets offer, about
        ten times as many series.
    type: str
    default: minimal
  kubelet_insecure_skip_verify:
    description:
      - Whether the agent accepts whatever certificate a kubelet shows. Clusters made with kubeadm have self-signed
        ones. Turn it off where the cluster's authority signs the kubelets' serving certificates.
    type: bool
    default: true
  node_exporter_port:
    description:
      - Port of node-exporter on the network of each node, for clusters where something else has this one. The
        customer's own node-exporter has 9100 as a rule.
    type: int
    default: 19100
  images:
    description: Image references, for a mirror or another version.
    type: dict
    suboptions:
      agent:
        description: Prometheus, 3.0 or newer.
        type: str
      kube_state_metrics:
        description: kube-state-metrics, 2.10 or newer.
        type: str
      node_exporter:
        description: node-exporter, 1.5 or newer.
        type: str
      blackbox_exporter:
        description: The blackbox exporter, 0.24 or newer. It is there only with C(blackbox) in O(overrides).
        type: str
  resources:
    description: Resources of the containers, each with C(requests) and C(limits) as Kubernetes has them.
    type: dict
    suboptions:
      agent:
        description: Resources of the Prometheus agent.
        type: dict
      kube_state_metrics:
        description: Resources of kube-state-metrics.
        type: dict
      node_exporter:
        description: Resources of node-exporter.
        type: dict
      blackbox_exporter:
        description: Resources of the blackbox exporter.
        type: dict
  proof:
    description:
      - Whether to wait for the proof. It needs O(wait). Without it, a new cluster stays in the phase C(provisioning),
        unless O(phase) says otherwise.
    type: bool
    default: true
  proof_timeout:
    description: Seconds to wait at most for the first sample, counted from when the agent is ready.
    type: int
    default: 120
  force:
    description:
      - With O(state=present), take over fields that another field manager owns, and a cluster whose agent belongs to
        another observer. That observer then hears nothing more of it. A new cluster goes on with the metrics that are
        left under its name when nobody knows any more whose they are. Where that is known, the name stays another
        cluster's until they are erased.
      - With O(move_from), leave an observer that does not answer. Its registration of the cluster stays there.
      - With O(state=absent), remove the registration although the KaaS cluster does not answer (or answers with a
        status of 500 and more, as load balancers without a server behind do), is not the one that was registered, or
        was taken over by another observer. RV(left) tells what was left there. A kubeconfig that cannot be used and
        credentials that are not accepted stay errors, because the agent may be writing on.
    type: bool
    default: false
  erase:
    description:
      - With O(state=absent), also remove what the observer holds of the cluster, or of one that was taken off board
        before. For the latter no kubeconfig is needed, and the cluster is not looked at.
      - Removed are its database in receive, which is restarted for that (agents keep their data meanwhile), and its
        blocks in the bucket, once no store gateway serves them any more (within O(wait_timeout), longer than store
        gateways take to look at the bucket again, which is 3 minutes). With O(wait=false) blocks are only marked, and
        the compactor deletes them a day later.
      - What the observer itself recorded about the cluster (its registration, results of rules, alerts) is in blocks
        with everybody's. These are rewritten without it before the compactor starts, which is restarted for that. What
        is not in the bucket alone, and what cannot be rewritten, RV(erasure) lists with the date at which it is gone.
      - It needs the rights in O(observer_namespace) with which the observer was deployed.
      - Run it again until RV(erasure.state) is V(done).
    type: bool
    default: false
notes:
  - The status of the registration (time, duration and number of series of the last proof, and why the last run failed)
    is written by every run that proves something or fails. It is what was observed, so it does not count as a change.
  - All that is wrong with the parameters is told at once, and nothing is touched then. RV(problems) lists it.
  - A certificate that got into wrong hands is of no use any more after two runs with O(renew=true). What the agent
    sends between the second one and the moment when its pod has the new certificate is lost.
  - The series of one scrape arrive up to 5 seconds after it (batches of remote write), and the first scrape of a
    target comes at a moment within the first scrape interval that Prometheus chooses. The first sample is read
    accordingly soon.
requirements:
  - cryptography 42 or newer
  - botocore, for O(erase)
seealso:
  - module: scs.observability.observer_info
"""

EXAMPLES = r"""
- name: Bring a cluster on board and wait until its metrics are there
  scs.observability.agent_registration:
    name: shop-prod
    customer: Example Shop
    sla: gold
    contact: noc@example.org
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig
    remote_write_url: https://metrics.example.org/api/v1/receive
  register: shop

- name: Say how long it took and what is not there
  ansible.builtin.debug:
    msg: "{{ shop.series }} series after {{ shop.seconds }} s, missing: {{ shop.missing_jobs }}"

- name: Have it observed by a second observer as well, on another site
  scs.observability.agent_registration:
    name: shop-prod
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig
    remote_write_url: https://metrics.example.org/api/v1/receive
    additional_observers:
      - observer_kubeconfig: /etc/kubernetes/second.kubeconfig
        remote_write_url: https://metrics.second.example.org/api/v1/receive

- name: Move it from one observer to another
  scs.observability.agent_registration:
    name: shop-prod
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/second.kubeconfig
    remote_write_url: https://metrics.second.example.org/api/v1/receive
    move_from:
      observer_kubeconfig: /etc/kubernetes/observer.kubeconfig

- name: Announce maintenance
  scs.observability.agent_registration:
    name: shop-prod
    phase: maintenance
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig
    remote_write_url: https://metrics.example.org/api/v1/receive

- name: Collect more of one cluster, and of a shop in it, whatever holds for the others
  scs.observability.agent_registration:
    name: shop-prod
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig
    remote_write_url: https://metrics.example.org/api/v1/receive
    sla: gold
    sla_classes: [gold, silver]
    labels:
      region: eu-1
    overrides:
      scrape_interval: 15s
      extra_jobs:
        - name: shop
          service: shop
          namespace: shop
          port: 8080
      extra_series:
        kubelet: [kubelet_started_pods_total]
      workloads:
        namespaces: [shop]
        selector: monitoring=true
      blackbox:
        targets:
          - name: api
            url: https://kubernetes.default.svc/readyz

- name: Turn it away for a while
  scs.observability.agent_registration:
    name: shop-prod
    suspended: true
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig
    remote_write_url: https://metrics.example.org/api/v1/receive

- name: Take the cluster out, before it is deleted
  scs.observability.agent_registration:
    name: shop-prod
    state: absent
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig

- name: Bring many on board at once
  scs.observability.agent_registration:
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig
    remote_write_url: https://metrics.example.org/api/v1/receive
    clusters:
      - name: shop-prod
        sla: gold
        kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
      - name: shop-staging
        kubeconfig: /etc/kubernetes/shop-staging.kubeconfig

- name: Take a cluster out that is gone already
  scs.observability.agent_registration:
    name: shop-prod
    state: absent
    force: true
    kubeconfig: /etc/kubernetes/shop-prod.kubeconfig
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig

- name: Erase what was collected of a cluster that was taken out before
  scs.observability.agent_registration:
    name: shop-prod
    state: absent
    erase: true
    observer_kubeconfig: /etc/kubernetes/observer.kubeconfig
  register: erased

- name: Say what is left, and until when
  ansible.builtin.debug:
    var: erased.erasure
"""

RETURN = r"""
clusters:
  description:
    - What became of each of O(clusters), in their order. It has what is returned of a single cluster (but its diff),
      and C(changed), C(failed) and C(msg).
  returned: when O(clusters) is given, also when some failed
  type: list
  elements: dict
  sample:
    - {name: shop-prod, changed: false, failed: false, msg: "active, 2713 series, …", phase: active, series: 2713}
    - {name: shop-staging, changed: false, failed: true, msg: "https://192.0.2.7:6443 did not …"}
summary:
  description: How many clusters there were, changed and failed, and how many seconds all of it took.
  returned: when O(clusters) is given, also when some failed
  type: dict
  sample: {clusters: 2, changed: 0, failed: 1, seconds: 12.3}
name:
  description: The cluster's name.
  returned: success
  type: str
  sample: shop-prod
phase:
  description: The phase the registration is in at the end, or would be in check mode; V(absent) when it was removed.
  returned: success
  type: str
  sample: active
problems:
  description: When several parameters are wrong, one text for each problem; the message has all of them.
  returned: when more than one parameter is refused
  type: list
  elements: str
  sample: ["name: 'A_b' is not a DNS label", "profile: 'maximal' is not known; did you mean minimal?"]
changes:
  description: One line for each object that changed, or would change in check mode.
  returned: success
  type: list
  elements: str
  sample: ["create apps/v1 Deployment scs-observability/scs-observability-agent"]
cluster_uid:
  description: The UID of the cluster's namespace C(kube-system), by which it is told from others.
  returned: when O(state=present)
  type: str
  sample: 0d1a6d3f-7d5c-4f0e-9b7d-2f6c1c0a4f3e
certificate:
  description: The agent's client certificate.
  returned: when O(state=present)
  type: dict
  contains:
    fingerprint:
      description: SHA-256 of its DER form, in hexadecimal.
      type: str
    expires:
      description: When it expires.
      type: str
      sample: "2026-05-02T10:00:00Z"
previous_certificate:
  description: The certificate that is let in beside it until a run an hour later; empty when there is none.
  returned: when O(state=present)
  type: dict
  contains:
    fingerprint:
      description: SHA-256 of its DER form, in hexadecimal.
      type: str
    replaced:
      description: When it was replaced.
      type: str
      sample: "2026-05-02T10:00:00Z"
suspended:
  description: Whether the gateway turns its agent away.
  returned: when O(state=present)
  type: bool
collection:
  description: What its agent collects, with its overrides in force.
  returned: when O(state=present)
  type: dict
  contains:
    profile:
      description: The profile.
      type: str
      sample: minimal
    scrape_interval:
      description: How often it scrapes.
      type: str
      sample: 30s
    jobs:
      description: Jobs whose samples are expected.
      type: list
      elements: str
seconds:
  description: Seconds from the start of the run until the first new sample of the cluster was read; none without proof.
  returned: when O(state=present)
  type: float
  sample: 21.4
series:
  description: Number of series the cluster sends; none without proof.
  returned: when O(state=present)
  type: int
  sample: 2713
missing_jobs:
  description: Jobs that were expected and are missing.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    job:
      description: Name of the job.
      type: str
      sample: coredns
    reason:
      description: C(no sample), or C(target down) when there are only samples of targets that are down.
      type: str
      sample: no sample
control_plane:
  description:
    - Whose control plane the cluster has, C(kubeadm), C(kind), C(k3s), C(managed) when nothing of it is seen in the
      cluster, or C(unknown).
  returned: when O(state=present)
  type: str
  sample: kubeadm
not_collected:
  description: Optional jobs that are not collected, because they are not reached, or what they want is not there.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    job:
      description: Name of the job.
      type: str
      sample: scheduler
    reason:
      description: Why.
      type: str
      sample: listens on 127.0.0.1 alone (--bind-address)
timings:
  description:
    - Seconds from the start of the run until everything was applied (C(applied)), the agent was ready, its image
      pulled and started included (C(agent_ready)), all workloads were ready (C(all_ready)), the first sample was read
      (C(first_sample)), and every job had sent or was given up (C(all_jobs)).
  returned: when O(state=present) and something was proven
  type: dict
  sample: {applied: 1.3, agent_ready: 4.6, all_ready: 6.2, first_sample: 14.8, all_jobs: 37.2}
queue:
  description: What the agent's queue of remote write to this observer is called, C(remote_name) in its metrics.
  returned: when O(state=present)
  type: str
  sample: observer
observers:
  description: What became of the cluster at each observer, in the order in which they are named.
  returned: when O(state=present) and there are O(additional_observers) or O(move_from)
  type: list
  elements: dict
  contains:
    observer:
      description: UID of the observer's cluster and its namespace.
      type: str
      sample: 5b8e7c1e-0d2b-4c39-8a57-0f6b4f0f2a11/scs-observability
    queue:
      description: As RV(queue).
      type: str
    phase:
      description: As RV(phase).
      type: str
    certificate:
      description: As RV(certificate).
      type: dict
    seconds:
      description: As RV(seconds).
      type: float
    series:
      description: As RV(series).
      type: int
    missing_jobs:
      description: As RV(missing_jobs).
      type: list
      elements: dict
link:
  description:
    - The link of the way from the agent to the query that is broken, one of V(dns), V(tcp), V(tls), V(certificate),
      V(gateway), V(receive), V(query), V(clock), and V(unknown) when nothing points at one.
    - V(certificate) is the agent's, V(tls) the gateway's.
  returned: when the proof fails
  type: str
  sample: tcp
seen:
  description: What was seen of the way, the agent's last messages included.
  returned: when the proof fails
  type: list
  elements: str
left:
  description: What was left in the KaaS cluster because it could not be looked at (with O(force=true)).
  returned: when O(state=absent)
  type: list
  elements: str
left_reason:
  description: Why it could not be looked at; empty when nothing is left.
  returned: when O(state=absent)
  type: str
erasure:
  description: How far it is erased.
  returned: when O(state=absent) and O(erase=true)
  type: dict
  contains:
    state:
      description:
        - V(done) when no block, no series, no entry at the gateway and no registration of the cluster is left, read
          back through query from all stores and for all the time that they hold. V(pending) otherwise.
      type: str
      sample: pending
    receive:
      description:
        - What became of its database in receive; V(removed), V(absent) when there was none, V(pending) when the restart
          was not waited for. V(present) in check mode.
      type: str
      sample: removed
    blocks_removed:
      description: How many blocks of the cluster in the bucket were removed, or would be in check mode.
      type: int
      sample: 42
    blocks_rewritten:
      description:
        - How many blocks of the observer itself, with everybody's series, were rewritten without those of the cluster,
          or would be in check mode.
      type: int
      sample: 120
    left:
      description:
        - What the observer recorded about the cluster and is still there, in blocks with everybody's or where it was
          recorded.
      type: list
      elements: dict
      contains:
        block:
          description: The block's ULID; empty for what is still in the component that recorded it.
          type: str
          sample: 01JC0V5E7Q2Y3N8Z4W6R9T1KMP
        owner:
          description:
            - Which component wrote it; C(prometheus), C(rule), or C(observer) for what the compactor joined of both.
          type: str
          sample: prometheus
        expires:
          description:
            - When it is gone by the compactor's retention, V(never) without one; without a block by that of the
              component, empty where it is not known.
          type: str
          sample: "2026-05-02T10:00:00Z"
    reasons:
      description: What else it is not done for.
      type: list
      elements: str
"""

from functools import partial

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import KUBERNETES, OBSERVER, WAIT
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._registration.clusters import manage_all
from ansible_collections.scs.observability.plugins.module_utils._registration.observers import (
    deregister,
    register,
)
from ansible_collections.scs.observability.plugins.module_utils._registration.overrides import PARTS

OBSERVER_OPTIONS: dict[str, dict[str, object]] = {
    **OBSERVER,
    "observer_namespace": {"type": "str"},
    "query_frontend": {"type": "str"},
    "remote_write_url": {"type": "str"},
    "remote_write_ca": {"type": "str"},
    "client_certificate": {"type": "str"},
    "client_key": {"type": "str", "no_log": True},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "clusters": {"type": "list", "elements": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "phase": {"type": "str"},
            "customer": {"type": "str"},
            "sla": {"type": "str"},
            "sla_classes": {"type": "list", "elements": "str"},
            "contact": {"type": "str"},
            "labels": {"type": "dict"},
            "suspended": {"type": "bool"},
            "overrides": {
                "type": "dict",
                "options": {
                    "profile": {"type": "str"},
                    "scrape_interval": {"type": "str"},
                    "extra_jobs": {"type": "list", "elements": "dict"},
                    "extra_series": {"type": "dict"},
                    "resources": {"type": "dict", "options": {part: {"type": "dict"} for part in PARTS}},
                    "workloads": {"type": "dict"},
                    "blackbox": {"type": "dict"},
                },
            },
            "renew": {"type": "bool", "default": False},
            "client_certificate": {"type": "str"},
            "client_key": {"type": "str", "no_log": True},
            "namespace": {"type": "str"},
            "observer_namespace": {"type": "str", "default": "scs-observability"},
            "query_frontend": {"type": "str", "default": "thanos-query-frontend"},
            "remote_write_url": {"type": "str"},
            "remote_write_ca": {"type": "str"},
            "additional_observers": {"type": "list", "elements": "dict", "options": OBSERVER_OPTIONS},
            "move_from": {
                "type": "dict",
                "options": {**OBSERVER, "observer_namespace": OBSERVER_OPTIONS["observer_namespace"]},
            },
            "scrape_interval": {"type": "str", "default": "30s"},
            "profile": {"type": "str", "default": "minimal"},
            "kubelet_insecure_skip_verify": {"type": "bool", "default": True},
            "node_exporter_port": {"type": "int", "default": 19100},
            "images": {"type": "dict", "options": {part: {"type": "str"} for part in PARTS}},
            "resources": {"type": "dict", "options": {part: {"type": "dict"} for part in PARTS}},
            "proof": {"type": "bool", "default": True},
            "proof_timeout": {"type": "int", "default": 120},
            "force": {"type": "bool", "default": False},
            "erase": {"type": "bool", "default": False},
            **KUBERNETES,
            **OBSERVER,
            **WAIT,
        },
        supports_check_mode=True,
    )
    operation = deregister if module.params["state"] == "absent" else register
    many = module.params["clusters"] is not None
    outcome.run(module, partial(manage_all, spec=module.argument_spec) if many else operation)


if __name__ == "__main__":
    main()
