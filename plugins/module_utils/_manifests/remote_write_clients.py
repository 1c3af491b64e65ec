# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the gateway lets in: derived from the registrations, kept in a ConfigMap, read from it by each pod.

A key per cluster, so that registrations side by side write theirs without knowing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Template
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._manifests import workload

Manifest = dict[str, Any]

NAME = "remote-write-clients"
# Without this key it is not all of them that was read. No cluster can be called so.
COMPLETE = "_complete"
# Seconds between two looks of a gateway
INTERVAL = 1
ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
# In the map, beside the certificates, once they have been read
READ = "read"


class Certified(Protocol):
    """A client certificate by its SHA-256 (DER form, in hexadecimal)."""

    @property
    def fingerprint(self) -> str: ...


class Registered(Protocol):
    """What of a registration decides."""

    @property
    def name(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def suspended(self) -> bool: ...
    @property
    def certificate(self) -> Certified | None: ...
    @property
    def previous_certificate(self) -> Certified | None: ...


def entry(registration: Registered) -> str | None:
    """A cluster's value in the ConfigMap, None as long as no certificate of it is recorded.

    While a certificate is renewed both are let in: the agent uses the old one until it has read the new one.
    """
    certificates = (registration.certificate, registration.previous_certificate)
    fingerprints = dict.fromkeys(certificate.fingerprint for certificate in certificates if certificate)
    if registration.certificate is None:
        return None
    return " ".join(["suspended" if registration.suspended else "active", *fingerprints])


def clients(registrations: Iterable[Registered]) -> dict[str, str]:
    """The ConfigMap's data."""
    entries = {registration.name: entry(registration) for registration in registrations}
    return {COMPLETE: "true", **{name: text for name, text in sorted(entries.items()) if text}}


def config_map(namespace: str, labels: Mapping[str, str], registrations: Iterable[Registered]) -> Manifest:
    return workload.config_map(NAME, namespace, labels, clients(registrations))


def drift(live: Mapping[str, str], registrations: Iterable[Registered]) -> dict[str, str | None]:
    """What has to change in the ConfigMap's data, by key; None is to be removed.

    A cluster that leaves may write until it is revoked, and is not let in anew after that. One whose certificate is
    not recorded, as when a registration was restored without its status, stays as it is.
    """
    registered = {registration.name: registration for registration in registrations}
    wanted = clients(registered.values())
    leaving = {name for name, registration in registered.items() if registration.phase == "deleting"}
    changes: dict[str, str | None] = {
        name: text for name, text in wanted.items() if live.get(name) != text and name not in leaving
    }
    changes.update({name: None for name in live if name != COMPLETE and name not in registered})
    return changes


def lua(namespace: str, map_file: str) -> str:
    """The program for HAProxy that brings its map ``map_file`` to what the ConfigMap says, and tells how it goes."""
    return _LUA.substitute(
        account=ACCOUNT_PATH,
        namespace=namespace,
        name=NAME,
        map=map_file,
        complete=COMPLETE,
        interval=INTERVAL,
        read=READ,
    )


_LUA = Template("""\
-- Who may write. The map has "STATE/CLUSTER" by the fingerprint of a certificate.
-- While the API server does not answer, it stays as it was read last.
local TOKEN_FILE = "$account/token"
local URL = "https://kubernetes.default.svc/api/v1/namespaces/$namespace/configmaps/$name"
local HOST, PORT = os.getenv("KUBERNETES_SERVICE_HOST"), os.getenv("KUBERNETES_SERVICE_PORT")
local MAP = "$map"

local last, clients, counts = nil, {}, {active = 0, suspended = 0}
local read_at, failures, failing = 0, 0, false
-- By cluster, how many of its requests were refused, by what limit
local limited = {}

local function demand(condition, problem)
  return condition or error(problem, 0)
end

local function read()
  -- The kubelet renews it.
  local file = demand(io.open(TOKEN_FILE))
  local token = file:read("a")
  file:close()
  local host = HOST:find(":") and "[" .. HOST .. "]" or HOST
  local answer = core.httpclient():get{
    url = URL, dst = host .. ":" .. PORT, timeout = 2000, headers = {authorization = {"Bearer " .. token}},
  }
  demand(answer.status == 200, "the API server answers with status " .. tostring(answer.status))
  -- Neither names nor values have braces: what has no end was not read to its end.
  local data = (answer.body or ""):match('"data":(%b{})')
  demand(data and data:find('"$complete":', 1, true), "the ConfigMap is not complete")
  return data
end

local function update(data)
  local wanted, found, names = {}, {active = 0, suspended = 0}, {}
  for cluster, state, fingerprints in data:gmatch('"([a-z0-9-]+)":"(%l+) ([a-f0-9 ]+)"') do
    -- What is not the name of a cluster does not become a tenant.
    local is_name = #cluster <= 63 and not cluster:find("^-") and not cluster:find("-$$")
    if is_name and found[state] then
      found[state] = found[state] + 1
      names[cluster] = true
      for fingerprint in fingerprints:gmatch("%x+") do
        wanted[fingerprint] = state .. "/" .. cluster
      end
    end
  end
  for fingerprint, client in pairs(wanted) do
    if clients[fingerprint] ~= client then core.set_map(MAP, fingerprint, client) end
  end
  for fingerprint in pairs(clients) do
    -- Told from one that is so new that it is not known yet
    if not wanted[fingerprint] then core.set_map(MAP, fingerprint, "revoked/") end
  end
  for cluster in pairs(limited) do
    if not names[cluster] then limited[cluster] = nil end
  end
  clients, counts = wanted, found
  core.set_map(MAP, "$read", "yes")
end

local function look()
  local data = read()
  if data ~= last then
    update(data)
    last = data
  end
  read_at = core.now().sec
end

core.register_task(function()
  while true do
    local fine, problem = pcall(look)
    if not fine then
      failures = failures + 1
    end
    if fine == failing then
      failing = not fine
      core.Warning(failing and "clients are not read: " .. tostring(problem) or "clients are read again")
    end
    core.sleep($interval)
  end
end)

core.register_action("limited", {"http-after-res"}, function(txn)
  local cluster, limit = txn:get_var("txn.tenant"), txn.f:res_hdr("x-limit")
  local refused = limited[cluster] or {}
  refused[limit] = (refused[limit] or 0) + 1
  limited[cluster] = refused
end)

local METRICS = [[
# HELP remote_write_gateway_clients Clusters that are registered, by whether they may write.
# TYPE remote_write_gateway_clients gauge
remote_write_gateway_clients{state="active"} %d
remote_write_gateway_clients{state="suspended"} %d
# HELP remote_write_gateway_clients_read_timestamp_seconds When they were read last, 0 for not yet.
# TYPE remote_write_gateway_clients_read_timestamp_seconds gauge
remote_write_gateway_clients_read_timestamp_seconds %d
# HELP remote_write_gateway_clients_read_failures_total How often they could not be read.
# TYPE remote_write_gateway_clients_read_failures_total counter
remote_write_gateway_clients_read_failures_total %d
# HELP remote_write_gateway_limited_total Requests of a cluster that a limit of the gateway refused.
# TYPE remote_write_gateway_limited_total counter
]]
local LIMITED = 'remote_write_gateway_limited_total{tenant="%s",limit="%s"} %d\\n'

core.register_service("clients", "http", function(applet)
  local lines = {METRICS:format(counts.active, counts.suspended, read_at, failures)}
  for cluster, refused in pairs(limited) do
    for limit, count in pairs(refused) do
      table.insert(lines, LIMITED:format(cluster, limit, count))
    end
  end
  local text = table.concat(lines)
  applet:set_status(200)
  applet:add_header("content-type", "text/plain; version=0.0.4")
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
end)
""")
