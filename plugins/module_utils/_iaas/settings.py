# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registration of an IaaS Prometheus as the operator wants it: every parameter checked before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, Problems
from ansible_collections.scs.observability.plugins.module_utils._core.names import dns_label
from ansible_collections.scs.observability.plugins.module_utils._iaas.record import IaasRegistration
from ansible_collections.scs.observability.plugins.module_utils._manifests import iaas_prometheus
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_query import host_and_port
from ansible_collections.scs.observability.plugins.module_utils._registration import settings as registration


@dataclass(frozen=True)
class Settings:
    """What state=present is asked for. ``remote_write_ca`` is empty for the observer's own authority."""

    registration: IaasRegistration
    remote_write_url: str
    remote_write_ca: str
    issue: bool
    renew: bool
    keep_sidecar: bool
    proof: bool
    proof_timeout: float

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Settings:
        """Read the module's parameters; raises InputError that names the parameter, InputErrors when there are more."""
        problems = Problems()
        given = params.get
        writes = bool(given("remote_write"))
        wanted = IaasRegistration(
            name=problems.of(name, params),
            region=problems.of(_region, given("region")),
            observer=problems.of(registration.namespace, params, "namespace"),
            pull_address=problems.of(_pull_address, given("pull_address") or ""),
            upload=bool(given("upload")),
            remote_write=writes,
        )
        url = given("remote_write_url")
        result = cls(
            registration=wanted,
            remote_write_url=problems.of(registration.url, url, "remote_write_url") if writes or url else "",
            remote_write_ca=problems.of(registration.certificates, given("remote_write_ca"), "remote_write_ca") or "",
            issue=bool(given("issue")),
            renew=bool(given("renew")),
            keep_sidecar=bool(given("keep_sidecar")),
            proof=given("proof") is not False,
            proof_timeout=problems.of(registration.seconds, params, "proof_timeout", registration.PROOF_TIMEOUT),
        )
        if not (given("pull_address") or given("upload") or writes):
            problems.found.append(
                InputError(
                    "there is no path by which its metrics come",
                    parameter="pull_address",
                    advice="Give pull_address, upload or remote_write, or several of them",
                )
            )
        problems.refuse()
        return result


def name(params: Mapping[str, Any]) -> str:
    """The name: tenant, common name of certificates and part of names of objects at once, so a short DNS label."""
    found = dns_label(params.get("name"), "name")
    if len(found) > iaas_prometheus.LONGEST_NAME:
        raise InputError(f"{found!r} is longer than {iaas_prometheus.LONGEST_NAME} characters", parameter="name")
    return found


def _region(value: object) -> str:
    if not value:
        raise InputError("is required and must not be empty", parameter="region")
    if not re.search(iaas_prometheus.REGION_PATTERN, str(value)):
        raise InputError(
            f"{value!r} is not the name of a region",
            parameter="region",
            advice="Use 1 to 63 characters of a-z, A-Z, 0-9, '-', '_' and '.', with a letter or digit at both ends",
        )
    return str(value)


def _pull_address(value: str) -> str:
    return host_and_port(value, "pull_address") if value else ""
