# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in _core/argument_spec.py::OBSERVER."""

from __future__ import annotations


class ModuleDocFragment:
    """Reaching the API server of the observer, for modules that deal with a second cluster too."""

    DOCUMENTATION = r"""
options:
  observer_kubeconfig:
    description:
      - Path of the kubeconfig of the observer, the cluster where metrics are collected.
      - Without it and without O(observer_kubeconfig_content), the environment variables E(OBSERVER_KUBECONFIG),
        E(K8S_AUTH_KUBECONFIG) and E(KUBECONFIG), the file C(~/.kube/config) and, inside a pod, its service account are
        tried in this order.
    type: path
  observer_kubeconfig_content:
    description:
      - The kubeconfig of the observer itself as text. Excludes O(observer_kubeconfig).
    type: str
  observer_context:
    description:
      - The context of the observer's kubeconfig. Without it, its C(current-context) is taken, and where the kubeconfig
        comes from E(K8S_AUTH_KUBECONFIG), E(KUBECONFIG) or C(~/.kube/config), E(K8S_AUTH_CONTEXT).
    type: str
requirements:
  - PyYAML
  - kubernetes (Python library), only for kubeconfigs whose user logs in with a plugin (C(exec) or C(auth-provider))
"""
