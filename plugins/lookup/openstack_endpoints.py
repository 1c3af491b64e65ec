# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: openstack_endpoints
short_description: The service catalog of an OpenStack cloud as endpoints that are probed
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Logs in to a cloud and makes of its service catalog what O(scs.observability.observer#role:main:observer_endpoints)
    takes, an entry for each address of a service. The same address is probed once, and what of it is a project's
    (its id at the end of the path) is left out.
  - The entries have the module C(http_any), by which a service works that answers at all, since without a token most
    refuse. Their label C(service) is the type of the service, their C(region) that of the catalog.
  - Add to the result what the catalog does not know, and combine that of several clouds with a O(prefix) each.
requirements:
  - openstacksdk 4.5 or newer
extends_documentation_fragment:
  - scs.observability.openstack
  - scs.observability.openstack.lookup
options:
  _terms:
    description: None.
    type: list
    elements: str
    default: []
  regions:
    description: Regions whose services are probed; all of the catalog without them.
    type: list
    elements: str
    default: []
  services:
    description: Types of the services that are probed, such as V(identity) and V(compute); all without them.
    type: list
    elements: str
    default: []
  exclude:
    description: Types of services that are not probed.
    type: list
    elements: str
    default: []
  critical:
    description: Types of services whose C(criticality) is V(critical); that of all others is V(warning).
    type: list
    elements: str
    default: [identity]
  owner:
    description: Whose the services are.
    type: str
    choices: [csp, customer]
    default: csp
  interval:
    description: How often they are probed, as the catalogue has it.
    type: str
  prefix:
    description: What names of the entries begin with, to tell clouds apart.
    type: str
"""

EXAMPLES = r"""
- name: Probe all public services of a cloud, and a dashboard beside them
  ansible.builtin.include_role:
    name: scs.observability.observer
  vars:
    observer_endpoints: >-
      {{ lookup('scs.observability.openstack_endpoints', cloud='provider', critical=['identity', 'compute'])
         + [{'name': 'dashboard', 'url': 'https://dashboard.example.org', 'module': 'http_any'}] }}

- name: See what two regions have for computing
  ansible.builtin.debug:
    msg: >-
      {{ lookup('scs.observability.openstack_endpoints', cloud='provider', regions=['North', 'South'],
                services=['compute']) }}
"""

RETURN = r"""
_raw:
  description:
    - One list of all entries, by name, each with C(name), C(url), C(module), C(criticality), C(owner), C(labels), and
      C(region) and C(interval) where there is one. C(lookup) returns it as it is, C(query) in a list.
  type: list
  elements: list
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.scs.observability.plugins.module_utils._core.errors import ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._openstack import login
from ansible_collections.scs.observability.plugins.module_utils._openstack.cloud import Cloud
from ansible_collections.scs.observability.plugins.module_utils._openstack.endpoints import Wanted, entries


class Catalogued(Protocol):
    """The part of a login that is needed here."""

    @property
    def interface(self) -> str: ...

    @property
    def region_name(self) -> str | None: ...

    def catalog(self) -> Sequence[Mapping[str, Any]]: ...


class LookupModule(LookupBase):
    """The lookup of this file."""

    def run(
        self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[list[dict[str, Any]]]:
        """Return the entries, see RETURN: one list, which a lookup returns as it is."""
        # Empty is not given. Ansible would take an empty path for the working directory.
        given = {name: value for name, value in kwargs.items() if value not in ("", None)}
        self.set_options(var_options=variables, direct=given)
        try:
            return [endpoints(self.get_options())]
        except ObservabilityError as error:
            raise AnsibleError(str(error)) from error


def endpoints(
    options: Mapping[str, Any],
    log_in: Callable[[login.Login], AbstractContextManager[Catalogued]] = Cloud,
) -> list[dict[str, Any]]:
    """Return what the lookup returns. Raises InputError, CloudError, LibraryError."""
    with log_in(login.read_parameters(options)) as cloud:
        regions = options.get("regions") or ([cloud.region_name] if cloud.region_name else [])
        wanted = Wanted(
            interface=cloud.interface,
            regions=regions,
            **{name: options[name] for name in ("services", "exclude", "critical", "owner") if options.get(name)},
            interval=options.get("interval") or "",
            prefix=options.get("prefix") or "",
        )
        return entries(cloud.catalog(), wanted)
