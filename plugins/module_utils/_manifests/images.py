# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Default image references of everything the collection deploys, in one place."""

from __future__ import annotations

THANOS = "quay.io/thanos/thanos:v0.42.4"
PROMETHEUS = "quay.io/prometheus/prometheus:v3.16.0"
KUBE_STATE_METRICS = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"
NODE_EXPORTER = "quay.io/prometheus/node-exporter:v1.12.1"
HAPROXY = "docker.io/library/haproxy:3.0.11"
PROMETHEUS_OPERATOR = "quay.io/prometheus-operator/prometheus-operator:v0.85.0"
PROMETHEUS_CONFIG_RELOADER = "quay.io/prometheus-operator/prometheus-config-reloader:v0.85.0"
ALERTMANAGER = "quay.io/prometheus/alertmanager:v0.28.1"
BLACKBOX_EXPORTER = "quay.io/prometheus/blackbox-exporter:v0.26.0"
GRAFANA = "docker.io/grafana/grafana:12.2.1"
OAUTH2_PROXY = "quay.io/oauth2-proxy/oauth2-proxy:v7.15.6"
