# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in _core/argument_spec.py::KUBERNETES."""

from __future__ import annotations


class ModuleDocFragment:
    """Reaching the API server of a Kubernetes cluster."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of the kubeconfig of the cluster.
      - Without it and without O(kubeconfig_content), the environment variables E(K8S_AUTH_KUBECONFIG) and
        E(KUBECONFIG), the file C(~/.kube/config) and, inside a pod, its service account are tried in this order.
    type: path
  kubeconfig_content:
    description:
      - The kubeconfig itself as text, for example from a secret store. Excludes O(kubeconfig).
    type: str
  context:
    description:
      - The context of the kubeconfig. Without it, its C(current-context) is taken, and where the kubeconfig comes from
        the environment, E(K8S_AUTH_CONTEXT).
    type: str
requirements:
  - PyYAML
  - kubernetes (Python library), only for kubeconfigs whose user logs in with a plugin (C(exec) or C(auth-provider))
"""
