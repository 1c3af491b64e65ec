#!/usr/bin/env python3
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the dashboards that come along into roles/observer/files/dashboards, as Grafana's classic JSON.

A dashboard is a list of rows, a row a list of panels that share its width. No query expands "All" to a list of values.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "roles" / "observer" / "files" / "dashboards"

Json = dict[str, Any]

WIDTH, HEIGHT = 24, 8
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED = "green", "yellow", "red"


def target(expr: str, legend: str = "", *, instant: bool = False, as_table: bool = False) -> Json:
    return {
        "datasource": DATA_SOURCE,
        "expr": expr,
        "legendFormat": legend or "__auto",
        "range": not instant,
        "instant": instant,
        "format": "table" if as_table else "time_series",
    }


def per_second(labels: str, counter: str) -> str:
    """How much a counter grows, by labels."""
    return f"sum by ({labels}) (rate({counter}[$__rate_interval]))"


def panel(
    kind: str,
    title: str,
    targets: Iterable[Json],
    *,
    unit: str = "short",
    about: str = "",
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),),
    mappings: Sequence[Json] = (),
    options: Json | None = None,
    custom: Json | None = None,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
) -> Json:
    """A panel without its place. ``steps`` are colours from a value on, the first of them from the lowest."""
    found = [{**item, "refId": chr(ord("A") + number)} for number, item in enumerate(targets)]
    defaults: Json = {
        "unit": unit,
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]},
        "mappings": list(mappings),
    }
    if custom:
        defaults["custom"] = custom
    result: Json = {
        "type": kind,
        "title": title,
        "datasource": DATA_SOURCE,
        "targets": found,
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options or {},
    }
    if about:
        result["description"] = about
    if transformations:
        result["transformations"] = list(transformations)
    return result


def graph(title: str, *targets: Json, unit: str = "short", about: str = "", stacked: bool = False) -> Json:
    """Lines over time."""
    custom: Json = {"fillOpacity": 10, "showPoints": "never"}
    if stacked:
        custom["stacking"] = {"mode": "normal"}
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, targets, unit=unit, about=about, custom=custom, options=options)


def number(
    title: str,
    expr: str,
    legend: str = "",
    *,
    unit: str = "short",
    about: str = "",
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),),
    mappings: Sequence[Json] = (),
) -> Json:
    """What is now: a number, or one per series."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "value_and_name" if legend else "auto",
    }
    shown = [target(expr, legend, instant=True)]
    return panel("stat", title, shown, unit=unit, about=about, steps=steps, mappings=mappings, options=options)


def table(title: str, columns: Sequence[tuple[str, str, str]], *, hidden: Sequence[str], about: str = "") -> Json:
    """A line per set of labels; ``columns`` are expressions with heading and unit."""
    letters = [chr(ord("A") + position) for position in range(len(columns))]
    headings = [(f"Value #{letter}", heading) for letter, (_expr, heading, _unit) in zip(letters, columns, strict=True)]
    return panel(
        "table",
        title,
        [target(expr, instant=True, as_table=True) for expr, _heading, _unit in columns],
        about=about,
        overrides=[
            {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
            for _expr, heading, unit in columns
        ],
        transformations=[
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": dict.fromkeys(("Time", "__name__", *hidden), True),
                    "renameByName": dict(headings),
                },
            },
        ],
        options={"showHeader": True, "footer": {"show": False}},
    )


def up_or_down(down: str = "DOWN", up: str = "up") -> list[Json]:
    texts = {"0": {"text": down, "color": RED, "index": 0}, "1": {"text": up, "color": GREEN, "index": 1}}
    return [{"type": "value", "options": texts}]


def timeline(title: str, expr: str, legend: str, *, about: str = "") -> Json:
    """States over time, 1 for what is well and 0 for what is not."""
    options = {"showValue": "never", "mergeValues": True, "legend": {"displayMode": "list", "placement": "bottom"}}
    return panel(
        "state-timeline",
        title,
        [target(expr, legend)],
        about=about,
        steps=((None, RED), (1, GREEN)),
        mappings=up_or_down(),
        options=options,
    )


def values_of(name: str, query: str) -> Json:
    """A variable with the values of a label; "All" is a regular expression, and not a list of them."""
    return {
        "name": name,
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "includeAll": True,
        "allValue": ".*",
        "multi": False,
        "refresh": 2,
        "sort": 1,
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard(
    name: str, title: str, about: str, data_source: str, rows: Sequence[tuple[str, Sequence[Json]]], *variables: Json
) -> Json:
    """The whole of it; ``data_source`` is the uid of the one that is chosen unless somebody chooses another."""
    placed: list[Json] = []
    top = 0
    for heading, panels in rows:
        placed.append({"type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": place(top)})
        top += 1
        width = WIDTH // len(panels)
        for position, item in enumerate(panels):
            placed.append({**item, "gridPos": place(top, position * width, width, HEIGHT)})
        top += HEIGHT
    for identifier, item in enumerate(placed, 1):
        item["id"] = identifier
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": data_source, "value": data_source},
        "refresh": 1,
        "hide": 0,
    }
    return {
        "uid": f"scs-{name}",
        "title": title,
        "description": about,
        "tags": ["scs-observability"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "tags": ["scs-observability"],
                "title": "Dashboards",
                "asDropdown": True,
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "templating": {"list": [source, *variables]},
        "annotations": {"list": []},
        "panels": placed,
    }


def place(y: int, x: int = 0, w: int = WIDTH, h: int = 1) -> Json:
    return {"x": x, "y": y, "w": w, "h": h}


# What is shown of the observer


OBSERVER_JOBS = (
    "thanos-.*|prometheus|prometheus-operator|alertmanager|remote-write-gateway|web-gateway|blackbox-exporter"
    "|kaas-metric-importer|kube-state-metrics|grafana"
)


def requests(job: str, selector: str) -> Json:
    expr = per_second("code", f'http_requests_total{{job="{job}", {selector}}}')
    return graph("Requests by code", target(expr, "{{code}}"), unit="reqps", stacked=True)


def duration(job: str, selector: str) -> Json:
    bucket = per_second("le", f'http_request_duration_seconds_bucket{{job="{job}", {selector}}}')
    return graph(
        "Duration of requests",
        *(target(f"histogram_quantile({share / 100}, {bucket})", f"{share} %") for share in (50, 99)),
        unit="s",
    )


def observer() -> Json:
    halted = up_or_down(down="runs", up="HALTED")
    halted[0]["options"]["0"]["color"], halted[0]["options"]["1"]["color"] = GREEN, RED
    gateway = 'job="remote-write-gateway", proxy="remote_write"'
    rules = '{job=~"thanos-rule|prometheus"}'
    return dashboard(
        "observer",
        "Observer",
        "Whether the observer itself works. Its own Prometheus answers also when Thanos does not.",
        "prometheus",
        [
            (
                "State",
                [
                    number(
                        "Components",
                        f'min by (job) (up{{job=~"{OBSERVER_JOBS}"}})',
                        "{{job}}",
                        steps=((None, RED), (1, GREEN)),
                        mappings=up_or_down(),
                    ),
                    number(
                        "Alerts that fire",
                        'count by (severity) (ALERTS{alertstate="firing", severity!="none"}) or vector(0)',
                        "{{severity}}",
                        steps=((None, GREEN), (1, YELLOW)),
                    ),
                    graph(
                        "Memory",
                        target(f'sum by (job) (process_resident_memory_bytes{{job=~"{OBSERVER_JOBS}"}})', "{{job}}"),
                        unit="bytes",
                    ),
                    graph(
                        "CPU",
                        target(
                            per_second("job", f'process_cpu_seconds_total{{job=~"{OBSERVER_JOBS}"}}'),
                            "{{job}}",
                        ),
                    ),
                ],
            ),
            (
                "Gateway",
                [
                    graph(
                        "Answers to agents by code",
                        target(
                            per_second("code", f"haproxy_frontend_http_responses_total{{{gateway}}}"),
                            "{{code}}",
                        ),
                        unit="reqps",
                        stacked=True,
                    ),
                    graph(
                        "Connections",
                        target(f"sum by (pod) (haproxy_frontend_current_sessions{{{gateway}}})", "{{pod}}"),
                    ),
                ],
            ),
            (
                "Receive",
                [
                    requests("thanos-receive", 'handler="receive"'),
                    duration("thanos-receive", 'handler="receive"'),
                    graph(
                        "Series in memory, the ten largest clusters",
                        target(
                            'topk(10, sum by (tenant) (prometheus_tsdb_head_series{job="thanos-receive"}))',
                            "{{tenant}}",
                        ),
                    ),
                    graph(
                        "Time since the last upload",
                        target(
                            "time() - max by (job) (thanos_objstore_bucket_last_successful_upload_time"
                            '{job=~"thanos-receive|thanos-rule"} > 0)',
                            "{{job}}",
                        ),
                        unit="s",
                        about="Blocks are uploaded about every two hours.",
                    ),
                ],
            ),
            (
                "Query",
                [
                    requests("thanos-query-frontend", 'handler="query-frontend"'),
                    duration("thanos-query-frontend", 'handler="query-frontend"'),
                    graph(
                        "What query reads",
                        target("sum by (store_type) (thanos_store_nodes_grpc_connections)", "{{store_type}}"),
                        about="Endpoints that answer query, by kind.",
                    ),
                ],
            ),
            (
                "Bucket",
                [
                    graph(
                        "Blocks that are loaded", target("sum by (pod) (thanos_bucket_store_blocks_loaded)", "{{pod}}")
                    ),
                    graph(
                        "Operations that fail",
                        target(
                            per_second("job, operation", "thanos_objstore_bucket_operation_failures_total") + " > 0",
                            "{{job}} {{operation}}",
                        ),
                        unit="ops",
                    ),
                    number(
                        "Compactor",
                        "max(thanos_compact_halted)",
                        steps=((None, GREEN), (1, RED)),
                        mappings=halted,
                        about="A halted compactor needs somebody to look at the blocks that it names in its log.",
                    ),
                    graph(
                        "Compactor's work that is left",
                        target("sum(thanos_compact_todo_compactions)", "compactions"),
                        target("sum(thanos_compact_todo_downsample_blocks)", "blocks to downsample"),
                        target("sum(thanos_compact_todo_deletion_blocks)", "blocks to delete"),
                    ),
                ],
            ),
            (
                "Rules",
                [
                    graph(
                        "Evaluations that fail",
                        target(
                            per_second("job, rule_group", f"prometheus_rule_evaluation_failures_total{rules}") + " > 0",
                            "{{job}} {{rule_group}}",
                        ),
                    ),
                    graph(
                        "Duration of groups, the ten slowest",
                        target(
                            "topk(10, max by (job, rule_group) "
                            '(prometheus_rule_group_last_duration_seconds{job=~"thanos-rule|prometheus"}))',
                            "{{job}} {{rule_group}}",
                        ),
                        unit="s",
                    ),
                    graph(
                        "Alerts that did not get to an Alertmanager",
                        target(per_second("job", "thanos_alert_sender_alerts_dropped_total"), "{{job}}"),
                        target(
                            per_second("job", 'prometheus_notifications_dropped_total{job="prometheus"}'),
                            "{{job}}",
                        ),
                    ),
                ],
            ),
            (
                "Prometheus",
                [
                    graph("Series", target('sum by (pod) (prometheus_tsdb_head_series{job="prometheus"})', "{{pod}}")),
                    graph(
                        "Samples",
                        target(
                            per_second("pod", 'prometheus_tsdb_head_samples_appended_total{job="prometheus"}'),
                            "{{pod}}",
                        ),
                        unit="cps",
                    ),
                    graph("Targets that are down", target('count by (job) (up{job!="probe"} == 0)', "{{job}}")),
                ],
            ),
            (
                "Alertmanager",
                [
                    graph("Alerts", target('max by (state) (alertmanager_alerts{job="alertmanager"})', "{{state}}")),
                    graph(
                        "Notifications",
                        target(
                            per_second("integration", 'alertmanager_notifications_total{job="alertmanager"}') + " > 0",
                            "{{integration}}",
                        ),
                    ),
                    graph(
                        "Notifications that fail",
                        target(
                            per_second(
                                "integration, reason", 'alertmanager_notifications_failed_total{job="alertmanager"}'
                            )
                            + " > 0",
                            "{{integration}} {{reason}}",
                        ),
                    ),
                ],
            ),
        ],
    )


def endpoints() -> Json:
    chosen = 'job="probe", probe=~"$probe", region=~"$region"'
    labels = "probe, instance, criticality, owner, region"
    days_left = f"max by ({labels}) (probe_ssl_earliest_cert_expiry{{{chosen}}} - time())"
    return dashboard(
        "endpoints",
        "Endpoints",
        "The endpoints of the catalogue, as they are seen from the observer.",
        "prometheus",
        [
            (
                "State",
                [
                    number("Endpoints", f"count(probe_success{{{chosen}}}) or vector(0)"),
                    number(
                        "Down",
                        f"count(probe_success{{{chosen}}} == 0) or vector(0)",
                        steps=((None, GREEN), (1, YELLOW)),
                    ),
                    number(
                        "Critical ones that are down",
                        f'count(probe_success{{{chosen}, criticality="critical"}} == 0) or vector(0)',
                        steps=((None, GREEN), (1, RED)),
                    ),
                    number(
                        "Certificates that expire within 30 days",
                        f"count(probe_ssl_earliest_cert_expiry{{{chosen}}} - time() < 30 * 86400) or vector(0)",
                        steps=((None, GREEN), (1, YELLOW)),
                    ),
                ],
            ),
            (
                "Catalogue",
                [
                    table(
                        "Endpoints",
                        [
                            (f"min by ({labels}) (probe_success{{{chosen}}})", "Works", "bool_yes_no"),
                            (
                                f"avg by ({labels}) (avg_over_time(probe_success{{{chosen}}}[$__range]))",
                                "Availability",
                                "percentunit",
                            ),
                            (f"max by ({labels}) (probe_duration_seconds{{{chosen}}})", "Duration", "s"),
                            (days_left, "Certificate valid for", "s"),
                        ],
                        hidden=(),
                        about="Availability is the share of probes that succeeded in the time that is shown.",
                    )
                ],
            ),
            ("Availability", [timeline("Probes", f"min by (probe) (probe_success{{{chosen}}})", "{{probe}}")]),
            (
                "Duration",
                [
                    graph(
                        "Probes", target(f"max by (probe) (probe_duration_seconds{{{chosen}}})", "{{probe}}"), unit="s"
                    ),
                    graph(
                        "HTTP by phase",
                        target(f"avg by (phase) (probe_http_duration_seconds{{{chosen}}})", "{{phase}}"),
                        unit="s",
                        stacked=True,
                        about="The mean of the endpoints that are chosen; choose one to see its own.",
                    ),
                    graph(
                        "Name resolution",
                        target(f"max by (probe) (probe_dns_lookup_time_seconds{{{chosen}}})", "{{probe}}"),
                        unit="s",
                    ),
                ],
            ),
            (
                "Answers",
                [
                    graph("Certificates are valid for", target(f"min by (probe) ({days_left})", "{{probe}}"), unit="s"),
                    graph("HTTP status", target(f"max by (probe) (probe_http_status_code{{{chosen}}})", "{{probe}}")),
                ],
            ),
        ],
        values_of("region", 'label_values(probe_success{job="probe"}, region)'),
        values_of("probe", 'label_values(probe_success{job="probe", region=~"$region"}, probe)'),
    )


def kaas_clusters() -> Json:
    # As in the rules: what the observer tells has its label, and what a cluster sends of itself has not.
    chosen = 'customer=~"$customer", sla=~"$sla", observer!=""'
    registered = f"max by (cluster, customer, sla) (kaas_cluster_info{{{chosen}}})"
    sent = 'up{cluster!="", observer=""}'
    age = f"time() - max by (cluster) (timestamp({sent}))"
    active = 'max by (cluster) (kaas_cluster_phase{phase="active", observer!=""}) == 1'
    unregistered = f'max by (cluster) ({sent}) unless on (cluster) kaas_cluster_info{{observer!=""}}'
    phases = 'kaas_cluster_phase{observer!=""}'
    by_phase = f"sum by (phase) (max by (cluster, phase) ({phases}))"
    return dashboard(
        "kaas-clusters",
        "KaaS clusters",
        "The customers' clusters that are registered, and whether their agents write.",
        "thanos",
        [
            (
                "Registrations",
                [
                    number("By phase", by_phase, "{{phase}}"),
                    number(
                        "Active ones without samples",
                        f"count(({active}) unless on (cluster) {sent}) or vector(0)",
                        steps=((None, GREEN), (1, RED)),
                        about="Registered as active, and no sample in the last five minutes.",
                    ),
                    number(
                        "Write without being registered",
                        f"count({unregistered}) or vector(0)",
                        steps=((None, GREEN), (1, YELLOW)),
                    ),
                    graph(
                        "Registered by phase",
                        target(by_phase, "{{phase}}"),
                        stacked=True,
                    ),
                ],
            ),
            (
                "Clusters",
                [
                    table(
                        "Registered clusters",
                        [
                            (registered, "Registered", "bool_yes_no"),
                            (
                                f"max by (cluster, phase) ({phases} == 1) and on (cluster) {registered}",
                                "Phase",
                                "short",
                            ),
                            (f"({age}) and on (cluster) {registered}", "Last sample", "s"),
                            (
                                f"sum by (cluster) ({sent} == bool 0) and on (cluster) {registered}",
                                "Targets that are down",
                                "short",
                            ),
                        ],
                        hidden=("Value #A", "Value #B"),
                        about="Without a last sample: nothing was written in the last five minutes.",
                    )
                ],
            ),
            (
                "Freshness",
                [
                    graph(
                        "Age of the last sample, the ten oldest",
                        target(f"topk(10, {age})", "{{cluster}}"),
                        unit="s",
                    ),
                    graph(
                        "Targets that are down, the ten clusters with most",
                        target(f"topk(10, count by (cluster) ({sent} == 0))", "{{cluster}}"),
                    ),
                ],
            ),
        ],
        values_of("customer", 'label_values(kaas_cluster_info{observer!=""}, customer)'),
        values_of("sla", 'label_values(kaas_cluster_info{observer!=""}, sla)'),
    )


def files() -> dict[str, str]:
    """The text of every dashboard by the name of its file."""
    made = (observer(), endpoints(), kaas_clusters())
    return {
        f"{item['uid'].removeprefix('scs-')}.json": json.dumps(item, indent=2, sort_keys=True) + "\n" for item in made
    }


def main() -> int:
    wanted = files()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
