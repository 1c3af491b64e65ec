# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
name: ec2_credential
short_description: The secret key of an EC2 credential in Keystone
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - Reads the secret keys that belong to access keys of the user for the project, so that they are known where they are
    used and nowhere else. M(scs.observability.bucket) says which access key it is.
  - Give it to parameters that are hidden in logs, such as C(objstore_secret_key) of
    M(scs.observability.thanos_component). Do not keep it as a fact.
  - An access key that is empty, as M(scs.observability.bucket) returns it in check mode when there is no credential
    yet, has an empty secret.
requirements:
  - openstacksdk 4.5 or newer
extends_documentation_fragment:
  - scs.observability.openstack
  - scs.observability.openstack.lookup
options:
  _terms:
    description: Access keys.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Thanos' store gateway on a bucket that scs.observability.bucket made
  scs.observability.thanos_component:
    component: store
    objstore: "{{ bucket.objstore }}"
    objstore_access_key: "{{ bucket.access_key }}"
    objstore_secret_key: "{{ lookup('scs.observability.ec2_credential', bucket.access_key, cloud='observer') }}"
"""

RETURN = r"""
_raw:
  description: The secret keys, in the order of the access keys.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, ObservabilityError
from ansible_collections.scs.observability.plugins.module_utils._openstack import login
from ansible_collections.scs.observability.plugins.module_utils._openstack.bucket import Identity
from ansible_collections.scs.observability.plugins.module_utils._openstack.cloud import Cloud


class LookupModule(LookupBase):
    """The lookup of this file."""

    def run(self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the secret keys, see RETURN."""
        # Empty is not given. Ansible would take an empty path for the working directory.
        given = {name: value for name, value in kwargs.items() if value not in ("", None)}
        self.set_options(var_options=variables, direct=given)
        try:
            return secrets(terms, self.get_options())
        except ObservabilityError as error:
            raise AnsibleError(str(error)) from error


def secrets(
    access_keys: Sequence[str],
    options: Mapping[str, Any],
    log_in: Callable[[login.Login], AbstractContextManager[Identity]] = Cloud,
) -> list[str]:
    """Return what the lookup returns. Raises InputError, CloudError, LibraryError."""
    if not any(access_keys):
        return list(access_keys)
    with log_in(login.read_parameters(options)) as cloud:
        known = {credential.access_key: credential.secret_key for credential in cloud.credentials()}
    missing = [key for key in access_keys if key and key not in known]
    if missing:
        raise InputError(
            f"{', '.join(missing)}: no EC2 credential of the user for the project",
            parameter="access_key",
            advice="Take the access key that the module bucket returns, with the same login",
        )
    return [known.get(key, "") for key in access_keys]
