# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.scs.observability.plugins.filter.alertmanager_configuration import alertmanager_configuration
from ansible_collections.scs.observability.plugins.filter.alertmanager_problems import alertmanager_problems

SECRET = "swordfish"
DATA: dict[str, Any] = {
    "receivers": [{"name": "oncall", "type": "webhook", "url": f"https://pager.example.com/{SECRET}"}]
}


def test_files_for_alertmanager() -> None:
    found = alertmanager_configuration(DATA)
    assert list(found) == ["alertmanager.yaml"]
    assert yaml.safe_load(found["alertmanager.yaml"])["receivers"][1]["name"] == "oncall"


def test_everything_that_is_wrong_and_no_secret() -> None:
    wrong = {"receivers": [{**DATA["receivers"][0], "typ": 1}], "page_receivers": ["nobody-else"]}
    with pytest.raises(AnsibleFilterError) as caught:
        alertmanager_configuration(wrong)
    assert str(caught.value).splitlines() == alertmanager_problems(wrong)
    assert len(alertmanager_problems(wrong)) == 2
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("wrong", ["text", None, [DATA]])
def test_what_is_no_dictionary_is_refused(wrong: Any) -> None:
    for function in (alertmanager_configuration, alertmanager_problems):
        with pytest.raises(AnsibleFilterError, match="takes a dictionary"):
            function(wrong)


class Decrypted:
    """What Ansible has for a text out of a vault: no text before it is asked for one."""

    def __str__(self) -> str:
        return str(DATA["receivers"][0]["url"])


class Tagged(str):
    """What newer versions have."""

    __slots__ = ()


@pytest.mark.parametrize("url", [Decrypted(), Tagged(DATA["receivers"][0]["url"])], ids=["2.18", "2.19"])
def test_what_comes_out_of_a_vault_is_written_as_a_text(url: Any) -> None:
    """Alertmanager knows nothing of vaults."""
    data = {"receivers": [{**DATA["receivers"][0], "url": url}]}
    assert alertmanager_problems(data) == []
    assert alertmanager_configuration(data) == alertmanager_configuration(DATA)
