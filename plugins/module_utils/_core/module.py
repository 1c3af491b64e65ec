# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's module class, for which an empty text is as good as not given, and which hides misplaced secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible.module_utils import basic

# What secrets are called in the configuration of an object store or a cache.
_SECRETS = frozenset(
    {
        "access_key_secret",
        "application_credential_secret",
        "client_key",
        "client_secret",
        "kubeconfig_content",
        "observer_kubeconfig_content",
        "passcode",
        "passphrase",
        "password",
        "privatekey",
        "secret_key",
        "service_account",
        "session_token",
        "storage_account_key",
        "token",
    }
)
_IN_TEXT = re.compile(
    r"://([^/\s]+)@|(-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]*PRIVATE KEY-----)", re.DOTALL
)
# Texts of containerd's configuration, in KinD's, and how the credentials of registries are in them (TOML).
_CONTAINERD = "containerdConfigPatches"
_IN_CONTAINERD = re.compile(r"""\b(?:password|auth|identitytoken)\s*=\s*["']([^"']+)["']""")


class AnsibleModule(basic.AnsibleModule):  # type: ignore[misc]
    """A survey sends an empty text for what was not answered, where Ansible would want a number, a bool or a choice.

    A secret where none belongs is refused later on, and Ansible shows the arguments of what failed. ``hidden`` yields
    those that only the module itself knows in its parameters.
    """

    params: dict[str, Any]
    argument_spec: dict[str, dict[str, Any]]

    def __init__(
        self,
        argument_spec: dict[str, dict[str, Any]],
        *,
        hidden: Callable[[Mapping[str, Any]], Iterable[str]] | None = None,
        **given: Any,
    ) -> None:
        self._hidden = hidden
        super().__init__(argument_spec, **given)
        # Once more, as texts have become the dictionaries that they are of.
        self._hide()

    def _load_params(self) -> None:
        """Ansible's own place for this: before types, choices and what is required are looked at."""
        super()._load_params()
        self.params = without_empty(self.params, self.argument_spec)
        self._hide()

    def _hide(self) -> None:
        self.no_log_values.update(secrets_in(self.params))
        if self._hidden:
            self.no_log_values.update(self._hidden(self.params))


def without_empty(params: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return parameters without those that are an empty text, also among the suboptions of ``spec``.

    What is required stays: that it must not be empty is said by unset_empty, naming the parameter.
    """
    return {
        name: without_empty(value, spec[name]["options"])
        if isinstance(value, dict) and spec.get(name, {}).get("options")
        else value
        for name, value in params.items()
        if value != "" or name.startswith("_ansible_") or spec.get(name, {}).get("required")
    }


def secrets_in(value: Any) -> Iterator[str]:
    """Yield what is a secret by its name or its form, anywhere in parameters: also the credentials in a URL."""
    if isinstance(value, Mapping):
        for name, content in value.items():
            if name in _SECRETS and content and isinstance(content, str):
                yield content
            elif name == _CONTAINERD:
                yield from _IN_CONTAINERD.findall(str(content))
            else:
                yield from secrets_in(content)
    elif isinstance(value, list):
        for item in value:
            yield from secrets_in(item)
    elif isinstance(value, str):
        for found in _IN_TEXT.finditer(value):
            # A user without a password is a name like any other.
            if found[2] or ":" in found[1]:
                yield found[2] or found[1]
