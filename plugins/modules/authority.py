#!/usr/bin/python
# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: authority
short_description: Have the observer sign with your own certificate authority
version_added: 0.1.0
author:
  - SCS Observability contributors (@SovereignCloudStack)
description:
  - An observer has two authorities that can be yours. V(tenants) signs the client certificates of the agents in
    customers' clusters and is trusted by the gateway alone. V(internal) signs the components of the observer, is
    trusted by them, and is how agents know the gateway. The other modules make those that are missing. This one puts
    your own in their place, each alone or both, so run it first. A third one, C(internal-gateway), signs nothing but
    the gateway's certificate for receive, and is always made in the observer.
  - The authority is kept as a Secret in the namespace of the observer, with its key, because certificates are signed
    and renewed with it in every run. Use one that signs nothing else. Whatever else V(tenants) signs is let in as the
    cluster that its common name says, and whatever else V(internal) signs may read all metrics.
  - It may be an intermediate. It is trusted itself, by everyone, and neither its root nor what the root has signed
    besides. It needs to sign no authorities, so a path length of 0 is enough.
  - A third authority, with which receive knows the gateway, is always the observer's own. Nothing outside sees it.
extends_documentation_fragment:
  - scs.observability.attributes
  - scs.observability.kubernetes
  - scs.observability.certificate
options:
  name:
    description: Which of the observer's authorities.
    type: str
    required: true
    choices: [tenants, internal]
  namespace:
    description: The namespace of the observer, made when it is missing. One that somebody else made is used and left.
    type: str
    default: scs-observability
  state:
    description:
      - V(present) has the authority of O(certificate) sign.
      - V(absent) removes the Secret; the next module that needs the authority makes one of the observer's own.
    type: str
    choices: [present, absent]
    default: present
  certificate:
    description:
      - The certificate of the authority (PEM), required for O(state=present) without O(also_trusted). Certificates
        that follow, its chain up to a root, are left out.
      - It is refused when it is no authority's, must not sign what it is for, is not valid now, has a key that not all
        verifiers take, is limited to certain names, or is also the other authority, above it or below it.
    type: str
  also_trusted:
    description:
      - Certificates (PEM) of authorities that are trusted beside V(internal), while it is rotated. Its own may be among
        them, and changes nothing.
      - Without O(force) an authority can be replaced by one that is trusted already, as long as it stays trusted
        itself, and is trusted no longer when nothing that it signed is in use. So give the new one here first, deploy
        the observer and register again whatever is registered. Then let it sign, with the old one here, and do the
        same. Then leave that out.
      - With it O(certificate) may be left out. The authority that is there stays then.
    type: str
  private_key:
    description:
      - The key of the authority, in PEM form. That of V(tenants) may stay elsewhere, then it is left out. Each agent's
        certificate is signed there in that case, and given to M(scs.observability.agent_registration).
    type: str
  force:
    description:
      - Replace or remove an authority although certificates of it are in use. Until the observer has been deployed
        again, its components do not know each other; until clusters have been registered again, their agents are not
        let in (V(tenants)) or do not know the gateway (V(internal)). They keep their samples for some hours.
      - A certificate of the same authority, that is with the same name and key, replaces the former one without this.
      - Take over fields that another field manager owns.
    type: bool
    default: false
requirements:
  - cryptography 42 or newer
seealso:
  - module: scs.observability.remote_write_gateway
  - module: scs.observability.agent_registration
"""

EXAMPLES = r"""
- name: Have agents' certificates signed by our own authority
  scs.observability.authority:
    name: tenants
    certificate: "{{ lookup('ansible.builtin.file', '/etc/pki/observability-tenants.crt') }}"
    private_key: "{{ vault_tenants_key }}"
    private_key_passphrase: "{{ vault_tenants_passphrase }}"

- name: The same for the observer's components
  scs.observability.authority:
    name: internal
    certificate: "{{ internal_certificate }}"
    private_key: "{{ vault_internal_key }}"

- name: Have components trust another authority too, before it signs
  scs.observability.authority:
    name: internal
    also_trusted: "{{ next_internal_certificate }}"

- name: Let the observer have an authority of its own again
  scs.observability.authority:
    name: internal
    state: absent
    force: true
"""

RETURN = r"""
name:
  description: Which of the observer's authorities.
  returned: success
  type: str
  sample: tenants
namespace:
  description: The namespace of the observer.
  returned: success
  type: str
  sample: scs-observability
secret:
  description: Name of the Secret that holds the authority.
  returned: success
  type: str
  sample: scs-observability-authority-tenants
fingerprint:
  description: SHA-256 of the certificate's DER form, in hexadecimal. None for O(state=absent).
  returned: success
  type: str
expires:
  description: When the authority expires; nothing that it signs is valid for longer. None for O(state=absent).
  returned: success
  type: str
  sample: "2036-05-02T10:00:00Z"
changes:
  description: What was changed, or would be in check mode, one line per object.
  returned: success
  type: list
  elements: str
  sample: ["create v1 Secret scs-observability/scs-observability-authority-tenants"]
"""

from ansible_collections.scs.observability.plugins.module_utils._core import outcome
from ansible_collections.scs.observability.plugins.module_utils._core.argument_spec import CERTIFICATE, KUBERNETES
from ansible_collections.scs.observability.plugins.module_utils._core.module import AnsibleModule
from ansible_collections.scs.observability.plugins.module_utils._observer import authority


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True, "choices": ["tenants", "internal"]},
            "namespace": {"type": "str", "default": "scs-observability"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "also_trusted": {"type": "str"},
            "force": {"type": "bool", "default": False},
            **CERTIFICATE,
            **KUBERNETES,
        },
        supports_check_mode=True,
    )
    outcome.run(module, authority.ensure)


if __name__ == "__main__":
    main()
