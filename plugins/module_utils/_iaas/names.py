# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Prometheus of a host is called in the observer: its name in the inventory may be no DNS label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._iaas.settings import name


def names(hosts: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return by host what it is called: what is ``given``, or its own name in lower case, with a dash for whatever else
    is not a letter or a digit.
    """
    return {host: (given or {}).get(host) or re.sub("[^a-z0-9]+", "-", host.lower()).strip("-") for host in hosts}


def problems(called: Mapping[str, str], variable: str) -> list[str]:
    """Return what is wrong with what hosts are called, one text each, with the ``variable`` that says it."""
    found = []
    for host, value in called.items():
        try:
            name({"name": value})
        except InputError as error:
            found.append(f"{variable}: {error.message}, as which {host} would be registered: give it another name")
    hosts_of: dict[str, list[str]] = {}
    for host, value in called.items():
        hosts_of.setdefault(value, []).append(host)
    found += [
        f"{variable}: {', '.join(hosts)} would all be registered as {value!r}: give each another name"
        for value, hosts in hosts_of.items()
        if len(hosts) > 1
    ]
    return found
