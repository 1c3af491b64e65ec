# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of an OSISM configuration repository, what has to change there, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._osism import configuration
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration import CUSTOM, KOLLA, RECORD
from ansible_collections.scs.observability.plugins.module_utils._osism.configuration_plan import (
    Plan,
    plan_changes,
    read_record,
)
from ansible_collections.scs.observability.plugins.module_utils._osism.yaml_text import Tagged, YamlText
from tests import osism_repository
from tests.pki import authority

SPECIFICATION = Path(__file__).parents[4] / "roles" / "osism_thanos_sidecar" / "meta" / "argument_specs.yml"
CERTIFICATE = authority("client").pem
VAULTED = "$ANSIBLE_VAULT;1.1;AES256\n3633\n"
REMOTE_WRITE = {
    "host": "manager",
    "url": "https://metrics.example.com/api/v1/receive",
    "ca": authority("internal").pem,
    "certificate": CERTIFICATE,
    "key": VAULTED,
}
PARAMS: dict[str, Any] = {"path": "/none", "region": "RegionOne", "pull_addresses": {"manager": "192.0.2.5:10901"}}
ALL: dict[str, Any] = {**PARAMS, "upload": True, "read_user": "scs-observability", "remote_write": [REMOTE_WRITE]}
ABSENT = {"path": "/none", "state": "absent"}
MIN, MAX = "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"
BLOCKS = f"{MIN} {MAX}"


def repository(**changed: str) -> dict[str, str]:
    """Texts of the files in a repository; KOLLA and CUSTOM of them may be others."""
    names = {"kolla": KOLLA, "custom": CUSTOM}
    return {**osism_repository.FILES, **{names[name]: text for name, text in changed.items()}}


def changed(there: dict[str, str], params: dict[str, Any], force: bool = False) -> tuple[dict[str, str], Plan]:
    """The repository after a run, and its plan."""
    plan = plan_changes(configuration.read(params), there, read_record(there.get(RECORD)), force)
    texts: dict[str, str | None] = {**there, **{change.path: change.after for change in plan.changes}}
    return {path: text for path, text in texts.items() if text is not None}, plan


def refused(there: dict[str, str], params: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        changed(there, params)
    return str(caught.value)


def templated(text: str, variables: dict[str, Any]) -> str:
    """What Ansible makes of a text."""
    return Environment(undefined=StrictUndefined).from_string(text).render(variables)


def test_a_real_repository_gets_all_of_it_and_a_second_run_changes_nothing() -> None:
    before = repository()
    after, _plan = changed(before, ALL)
    kolla = YamlText(KOLLA, after[KOLLA]).data
    assert kolla["prometheus_external_labels"] == {
        "infrastructure": "example",
        "layer": "iaas",
        "region": "RegionOne",
        "replica": "{{ inventory_hostname }}",
    }
    assert kolla["prometheus_cmdline_extras"].split() == [
        "--storage.tsdb.retention.time=30d",
        "--web.page-title={{",
        "kolla_external_fqdn",
        "}}",
        *BLOCKS.split(),
    ]
    assert [user["username"] for user in kolla["prometheus_basic_auth_users_extra"]] == [
        "capacity",
        "scs-observability",
    ]
    assert kolla["prometheus_basic_auth_users_extra"][1]["password"] == "{{ scs_observability_prometheus_password }}"
    custom = yaml.safe_load(after[CUSTOM])
    assert custom["cronjobs_hour"] == 4
    assert custom["osism_thanos_sidecar_upload"] is custom["osism_thanos_sidecar_pull"] is True
    # Nothing that was there is written anew.
    for path in (KOLLA, CUSTOM):
        lines = after[path].splitlines()
        assert [line for line in before[path].splitlines() if line not in lines] == []
    again, plan = changed(after, ALL)
    assert (again, plan.changes) == (after, [])


def test_absent_leaves_what_was_there_byte_for_byte() -> None:
    before = repository()
    after, _plan = changed(before, ALL)
    away, plan = changed(after, ABSENT)
    assert away == before
    assert plan.warnings == []
    assert changed(away, ABSENT)[1].changes == []


def test_what_is_turned_off_is_taken_back() -> None:
    after, _plan = changed(repository(), ALL)
    off, _plan = changed(after, PARAMS)
    assert "block-duration" not in off[KOLLA]
    assert "scs-observability" not in off[KOLLA]
    assert not [path for path in off if "extras" in path or path.endswith("90-scs-observability.yml")]
    assert off == changed(repository(), PARAMS)[0]


def test_a_value_of_ours_may_become_another_one() -> None:
    after, _plan = changed(repository(), PARAMS)
    moved, _plan = changed(after, {**PARAMS, "region": "RegionTwo"})
    assert moved[KOLLA] == after[KOLLA].replace("region: RegionOne", "region: RegionTwo")
    assert changed(moved, ABSENT)[0] == repository()


@pytest.mark.parametrize(
    ("params", "kolla", "custom", "said"),
    [
        (
            PARAMS,
            "prometheus_external_labels:\n  region: north\n",
            "",
            [f"{KOLLA}, line 1: prometheus_external_labels.region is north, and would have to be RegionOne"],
        ),
        (
            PARAMS,
            'a: 1\nprometheus_external_labels: "{{ labels }}"\n',
            "",
            [f'{KOLLA}, line 2: prometheus_external_labels.layer is "{{{{ labels }}}}", and would have to be iaas'],
        ),
        (
            ALL,
            'prometheus_cmdline_extras: "--storage.tsdb.max-block-duration=1d"\n',
            "",
            ["prometheus_cmdline_extras --storage.tsdb.max-block-duration is 1d, and would have to be 2h"],
        ),
        (
            ALL,
            "prometheus_basic_auth_users_extra:\n  - {username: scs-observability, password: swordfish}\n",
            "",
            ["_users_extra scs-observability is {username: scs-observability, password: (hidden)}"],
        ),
        (PARAMS, "", "osism_thanos_sidecar_pull: false\n", [f"{CUSTOM}, line 1: osism_thanos_sidecar_pull is false"]),
        (
            PARAMS,
            "prometheus_external_labels:\n  layer: x\n  region: y\n",
            "osism_thanos_sidecar_pull: false\n",
            ["layer is x", "region is y", "osism_thanos_sidecar_pull is false"],
        ),
    ],
)
def test_an_operators_value_is_never_written_over_silently(
    params: dict[str, Any], kolla: str, custom: str, said: list[str]
) -> None:
    there = repository(kolla=kolla, custom=custom)
    message = refused(there, params)
    assert [text for text in said if text not in message] == []
    assert "swordfish" not in message
    taken, _plan = changed(there, params, force=True)
    assert changed(taken, params)[1].changes == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"# Made by scs.observability.osism_configuration\nprometheus_cmdline_extras: {BLOCKS}\n"),
        ('prometheus_cmdline_extras: ""\n', f"prometheus_cmdline_extras: {BLOCKS}\n"),
        ("prometheus_cmdline_extras:\n", f"prometheus_cmdline_extras: {BLOCKS}\n"),
        ("prometheus_cmdline_extras: --a=b\n", f"prometheus_cmdline_extras: --a=b {BLOCKS}\n"),
        ("prometheus_cmdline_extras: '--a=b' # why\n", f"prometheus_cmdline_extras: '--a=b {BLOCKS}' # why\n"),
        (
            "prometheus_cmdline_extras: >-\n    --a=b\n    --c=d\n\nx: 1\n",
            f"prometheus_cmdline_extras: >-\n    --a=b\n    --c=d\n    {MIN}\n    {MAX}\n\nx: 1\n",
        ),
        (
            f'prometheus_cmdline_extras: "{MAX} --a=b"\n',
            f'prometheus_cmdline_extras: "{MAX} --a=b {MIN}"\n',
        ),
    ],
)
def test_flags_are_merged_with_those_of_the_operator(before: str, after: str) -> None:
    there = {KOLLA: before, CUSTOM: ""}
    result, _plan = changed(there, {**PARAMS, "upload": True})
    # The labels are at the end of the file, or at its beginning when there was nothing.
    assert after in result[KOLLA]
    away = changed(result, ABSENT)[0][KOLLA]
    flags = (yaml.safe_load(before) or {}).get("prometheus_cmdline_extras") or ""
    assert ((yaml.safe_load(away) or {}).get("prometheus_cmdline_extras") or "").split() == flags.split()


def test_what_was_changed_since_stays_when_the_rest_goes() -> None:
    after, _plan = changed(repository(), {**PARAMS, "read_user": "reader"})
    edited = {**after, KOLLA: after[KOLLA].replace("region: RegionOne", "region: west")}
    edited[configuration.WRAPPER] += "# ours too\n"
    away, plan = changed(edited, ABSENT)
    assert "region: west" in away[KOLLA]
    assert configuration.WRAPPER in away
    assert [warning for warning in plan.warnings if "region was changed since" in warning]
    assert [warning for warning in plan.warnings if warning.startswith(configuration.WRAPPER)]
    assert RECORD not in away


def test_a_file_of_somebody_else_is_shown_and_kept() -> None:
    there = {**repository(), configuration.overlay_of("manager"): "remote_write:\n  - url: https://other.example.com\n"}
    message = refused(there, ALL)
    assert "-  - url: https://other.example.com" in message
    assert "+    url: https://metrics.example.com/api/v1/receive" in message
    assert (
        changed(there, ALL, force=True)[0][configuration.overlay_of("manager")]
        != there[configuration.overlay_of("manager")]
    )


def test_an_encrypted_key_stays_while_its_certificate_does() -> None:
    after, _plan = changed(repository(), ALL)
    other = VAULTED.replace("3633", "3939")
    again = {**ALL, "remote_write": [{**REMOTE_WRITE, "key": other}]}
    assert changed(after, again)[1].changes == []
    renewed = {**ALL, "remote_write": [{**REMOTE_WRITE, "key": other, "certificate": authority("next").pem}]}
    moved, _plan = changed(after, renewed)
    assert "3939" in moved[KOLLA]
    assert "3633\n" not in moved[KOLLA]
    assert changed(moved, ABSENT)[0] == repository()


def test_a_key_that_was_encrypted_with_a_wrong_password_is_replaced_by_force() -> None:
    after, _plan = changed(repository(), ALL)
    params = {**ALL, "remote_write": [{**REMOTE_WRITE, "key": VAULTED.replace("3633", "3939")}]}
    mended, _plan = changed(after, params, force=True)
    assert mended[KOLLA] == after[KOLLA].replace("3633\n", "3939\n")
    assert changed(mended, params)[1].changes == []
    assert changed(mended, ABSENT)[0] == repository()


def test_hosts_that_do_not_write_are_not_told_to_and_each_has_the_url_of_its_gateway() -> None:
    urls = {"manager": REMOTE_WRITE["url"], "node-0": "https://other.example.com/api/v1/receive"}
    paths = [{**REMOTE_WRITE, "host": host, "url": url} for host, url in urls.items()]
    after, _plan = changed(repository(), {**PARAMS, "remote_write": paths})
    custom = yaml.safe_load(after[CUSTOM])
    assert custom["scs_observability_remote_write_urls"] == urls
    for host, url in {**urls, "node-1": ""}.items():
        known = {**custom, "inventory_hostname": host}
        assert templated(custom["osism_thanos_sidecar_remote_write"], known) == str(bool(url))
        assert templated(custom["osism_thanos_sidecar_remote_write_url"], known) == url
    one, _plan = changed(after, {**PARAMS, "remote_write": paths[:1]})
    assert one == changed(repository(), {**PARAMS, "remote_write": paths[:1]})[0]


def test_each_host_has_a_key_of_its_own_and_it_may_be_a_variable() -> None:
    second = {**REMOTE_WRITE, "host": "node-0", "key": None, "key_variable": "observer_key"}
    after, _plan = changed(repository(), {**PARAMS, "remote_write": [REMOTE_WRITE, second]})
    loaded = YamlText(KOLLA, after[KOLLA]).data[configuration.KEYS]
    assert loaded == {"manager": Tagged("!vault", VAULTED), "node-0": "{{ observer_key }}"}
    overlays = [yaml.safe_load(after[configuration.overlay_of(host)]) for host in ("manager", "node-0")]
    files = [overlay["remote_write"][0]["tls_config"]["cert_file"] for overlay in overlays]
    assert files == [f"/etc/prometheus/extras/scs-observability/{host}.crt" for host in ("manager", "node-0")]
    assert [after[f"{configuration.EXTRAS}/{host}.crt"] for host in ("manager", "node-0")] == [CERTIFICATE] * 2


def test_what_the_operator_says_of_the_collection_is_enough() -> None:
    for own in (
        "collections:\n  - name: scs.observability\n    version: 0.1.0\n",
        "collections: [scs.observability]\n",
    ):
        there = {**repository(), configuration.REQUIREMENTS: own}
        after, _plan = changed(there, PARAMS)
        assert after[configuration.REQUIREMENTS] == own
        assert changed(after, ABSENT)[0] == there
    there = {**repository(), configuration.REQUIREMENTS: "collections:\n  - community.dns\n"}
    after, _plan = changed(there, PARAMS)
    assert yaml.safe_load(after[configuration.REQUIREMENTS])["collections"] == [
        "community.dns",
        {"name": "scs.observability"},
    ]


def test_all_files_that_cannot_be_read_are_told_at_once() -> None:
    message = refused(repository(kolla="a: [\n", custom="- b\n"), PARAMS)
    assert f"{KOLLA}, line 2" in message
    assert f"{CUSTOM}, line 1" in message


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"region": None}, ["region: is required"]),
        ({"region": "a b"}, ["region: 'a b' is not letters"]),
        ({"region": "no"}, ["region: no is a number, a date or a truth value"]),
        ({"region": "2025.1"}, ["region: 2025.1 is a number"]),
        ({"region": "012"}, ["region: 012 is a number"]),
        ({"replica": "a b"}, ["replica: 'a b'"]),
        ({"pull": False}, ["pull: is off, as are upload and remote_write"]),
        ({"read_user": "a:b"}, ["read_user: 'a:b'"]),
        ({"read_user": "grafana"}, ["read_user: grafana is a user that kolla-ansible has itself"]),
        ({"read_user": "a", "read_user_variable": "a-b"}, ["read_user_variable: 'a-b'"]),
        ({"sidecar": {"observer_x": 1}}, ["sidecar: observer_x is not a variable of the role"]),
        (
            {"sidecar": {"osism_thanos_sidecar_objstore_secret_key": "swordfish"}},
            ["sidecar: osism_thanos_sidecar_objstore_secret_key is a secret"],
        ),
        (
            {"sidecar": {"osism_thanos_sidecar_x": [{"kubeconfig": "users:\n- user: {token: swordfish}\n"}]}},
            ["sidecar: osism_thanos_sidecar_x is a secret, or has one in it"],
        ),
        (
            {"sidecar": {"osism_thanos_sidecar_x": '{"users": [{"user": {"token": "swordfish"}}]}'}},
            ["osism_thanos_sidecar_x is a secret"],
        ),
        ({"sidecar": {"osism_thanos_sidecar_x": {"client-key-data": "swordfish"}}}, ["osism_thanos_sidecar_x is a"]),
        ({"sidecar": {"osism_thanos_sidecar_x": authority("x").key_pem}}, ["osism_thanos_sidecar_x is a secret"]),
        ({"sidecar_references": {"osism_thanos_sidecar_x": "a b"}}, ["sidecar_references: 'a b' is not the name"]),
        ({"sidecar_references": {"osism_thanos_sidecar_x": "osism_thanos_sidecar_x"}}, ["would be itself"]),
        (
            {"remote_write": [{"url": "http://u:swordfish@x", "ca": "x", "certificate": "y", "key": "swordfish"}]},
            [f"remote_write[0].{name}" for name in ("host", "url", "ca", "certificate", "key: is not encrypted")],
        ),
        ({"remote_write": [{**REMOTE_WRITE, "key_variable": "x"}]}, ["remote_write[0].key: give the private key"]),
        ({"remote_write": [{**REMOTE_WRITE, "key": ""}]}, ["remote_write[0].key: give the private key"]),
        ({"remote_write": [{**REMOTE_WRITE, "certificate": authority("x").key_pem}]}, ["remote_write[0].certificate"]),
        ({"remote_write": [REMOTE_WRITE, REMOTE_WRITE]}, ["remote_write: manager is there more than once"]),
        ({"remote_write": [{**REMOTE_WRITE, "host": "../x"}]}, ["remote_write[0].host: '../x'"]),
        ({"group": "a b"}, ["group: 'a b'"]),
        ({"pull_addresses": {}}, ["pull_addresses: are required for pull"]),
        ({"pull_addresses": {"a": "192.0.2.5"}}, ["pull_addresses.a: '192.0.2.5' is not an address and a port"]),
        ({"region": "no", "replica": "a b", "pull": False}, ["region", "replica", "pull"]),
    ],
)
def test_bad_parameters_are_told_all_at_once(params: dict[str, Any], said: list[str]) -> None:
    message = refused(repository(), {**PARAMS, **params})
    assert [text for text in said if text not in message] == []
    assert "swordfish" not in message
    assert "PRIVATE KEY" not in message


def test_each_secret_of_the_role_is_refused_in_clear() -> None:
    options = yaml.safe_load(SPECIFICATION.read_text())["argument_specs"]["main"]["options"]
    assert {name for name, option in options.items() if option.get("no_log")} == configuration.SECRET_VARIABLES
    message = refused(repository(), {**PARAMS, "sidecar": dict.fromkeys(configuration.SECRET_VARIABLES, "swordfish")})
    assert [name for name in configuration.SECRET_VARIABLES if f"sidecar: {name} is a secret" not in message] == []
    assert "swordfish" not in message


def test_a_kubeconfig_in_clear_that_an_operator_has_there_is_not_shown() -> None:
    name = "osism_thanos_sidecar_observer_kubeconfig_content"
    there = repository(custom=f"{name}: swordfish\n")
    params = {**PARAMS, "sidecar_references": {name: "observer_kubeconfig"}}
    assert f"{name} is (hidden), and would have to be" in refused(there, params)
    _after, plan = changed(there, params, force=True)
    assert "swordfish" not in "".join(change.excerpt_before + change.excerpt_after for change in plan.changes)


def test_no_excerpt_shows_a_secret() -> None:
    users = "[{username: scs-observability, password: swordfish}, {password: !vault x}]"
    kolla = f"prometheus_basic_auth_users_extra: {users}\n"
    _after, plan = changed(repository(kolla=kolla), ALL, force=True)
    shown = "".join(change.excerpt_before + change.excerpt_after for change in plan.changes)
    assert "scs_observability_prometheus_password" in shown
    assert "swordfish" not in shown
    assert "$ANSIBLE_VAULT" not in shown


def test_commands_are_told_in_their_order() -> None:
    settings = configuration.read(ALL)
    assert configuration.commands(settings, vendored=False, changed=True) == [
        "ansible-galaxy collection install -r environments/custom/collections/requirements.yml"
        " -p environments/custom/collections",
        "osism apply configuration",
        "osism reconciler sync",
        "osism apply -a reconfigure prometheus",
        "osism apply scs-observability-sidecar",
    ]
    away = configuration.read(ABSENT)
    assert configuration.commands(away, vendored=True, changed=True)[0] == (
        "osism apply scs-observability-sidecar -e osism_thanos_sidecar_state=absent"
    )
    assert configuration.commands(away, vendored=True, changed=False) == []


def test_secrets_that_the_operator_keeps_are_named() -> None:
    params = {**ALL, "sidecar_references": {"osism_thanos_sidecar_objstore_secret_key": "bucket_secret"}}
    found = configuration.secrets(configuration.read(params))
    assert [secret["variable"] for secret in found] == ["scs_observability_prometheus_password", "bucket_secret"]
