# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """How to log in at an OpenStack cloud, as openstacksdk calls it."""

    DOCUMENTATION = r"""
options:
  cloud:
    description:
      - Name of a cloud in C(clouds.yaml), as openstacksdk finds it.
    type: str
  auth:
    description:
      - How to log in, as openstacksdk takes it, with C(auth_url), C(username), C(password), C(project_name),
        C(user_domain_name) and C(project_domain_name), or what O(auth_type) takes.
      - Together with O(cloud) it is laid over what is said there, such as a password that is kept elsewhere. Alone,
        neither C(clouds.yaml) nor the environment is looked at.
    type: dict
  auth_type:
    description:
      - The way of logging in, such as V(v3applicationcredential). A password, if not set.
    type: str
  region_name:
    description:
      - Region of the cloud, needed if the catalog has several with what is looked for.
    type: str
  interface:
    description:
      - Which of a service's endpoints are meant; those of C(clouds.yaml), or V(public), if not set.
    type: str
    choices: [public, internal, admin]
  cacert:
    description:
      - File with the certificate (PEM) of the authority that signed Keystone's certificate.
      - If not set, and the cloud's configuration names none, the authority of the store, if one is given, and otherwise
        those of the system.
    type: path
"""

    # What of its authority a module takes for the store and Keystone alike, a lookup takes for Keystone.
    LOOKUP = r"""
options:
  ca_content:
    description:
      - Certificate (PEM) of the authority that signed Keystone's certificate, as text, where neither O(cacert) nor the
        cloud's configuration names a file.
    type: str
  validate_certs:
    description: Whether Keystone's certificate must be valid.
    type: bool
    default: true
"""
