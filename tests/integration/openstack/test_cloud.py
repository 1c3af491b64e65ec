# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module bucket and the lookups against a real Keystone and Swift, and Thanos on what they made.

In one file, because each process that runs tests has servers of its own.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import boto3
import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from botocore.config import Config
from botocore.exceptions import ClientError

from ansible_collections.scs.observability.plugins.lookup.ec2_credential import secrets
from ansible_collections.scs.observability.plugins.lookup.openstack_endpoints import endpoints as look_up
from ansible_collections.scs.observability.plugins.module_utils._core.errors import CloudError, InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import blackbox_probes
from ansible_collections.scs.observability.plugins.module_utils._objstore.configuration import (
    CA_FILE,
    to_yaml,
    with_credentials,
)
from ansible_collections.scs.observability.plugins.modules import bucket
from tests import rendered
from tests.integration.openstack_servers import (
    CATALOG_REGION,
    MEMBER_PASSWORD,
    OTHER_PROJECT,
    PROJECT,
    READER,
    OpenStack,
)
from tests.integration.processes import ansible, answers, binary, free_port, process, wait_until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::Warning:openstack")

_NUMBERS = count(1)
HOURS, STEP = 8, 60
# Four hours into a day: a compactor joins the two blocks before midnight, when it sees two later ones.
END = int(time.time()) // 86400 * 86400 - 5 * 86400 + 4 * 3600
START = END - HOURS * 3600
SAMPLES = HOURS * 3600 // STEP


@dataclass
class Site:
    """A user of the project, a name that no bucket has yet, and the module as this user runs it."""

    cloud: OpenStack
    user: str
    user_id: str
    name: str
    capsys: pytest.CaptureFixture[str]

    @property
    def login(self) -> dict[str, Any]:
        return {"auth": self.cloud.auth(self.user), "cacert": str(self.cloud.ca)}

    def module(self, *, check: bool = False, fails: bool = False, **changed: Any) -> dict[str, Any]:
        """Run the module in this process; return its result, in which no secret may be."""
        given = {"name": self.name, **self.login, "ca_path": str(self.cloud.ca), **changed}
        given.update(_ansible_check_mode=check, _ansible_diff=True)
        known = self.secrets()
        with patch_module_args(given), pytest.raises(SystemExit):
            bucket.main()
        output = self.capsys.readouterr()
        for secret in (MEMBER_PASSWORD, *known.values(), *self.secrets().values()):
            assert secret not in output.out + output.err
        result: dict[str, Any] = json.loads(output.out)
        assert bool(result.get("failed")) is fails, result
        return result

    def secrets(self) -> dict[str, str]:
        """What Keystone says to its administrator about this user: secrets by access key."""
        with self.cloud.admin() as admin:
            found = admin.identity.get(f"/users/{self.user_id}/credentials/OS-EC2").json()["credentials"]
        return {item["access"]: item["secret"] for item in found}

    def lookup(self, access_key: str) -> str:
        (found,) = secrets([access_key], self.login)
        return found

    def s3(self, access_key: str, secret_key: str) -> Any:
        """An independent witness of what is in the store."""
        return boto3.client(
            "s3",
            endpoint_url=self.cloud.swift,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            verify=str(self.cloud.ca),
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def buckets(self, access_key: str) -> set[str]:
        client = self.s3(access_key, self.secrets()[access_key])
        return {found["Name"] for found in client.list_buckets()["Buckets"]}


def new_user(cloud: OpenStack, role: str = "member") -> tuple[str, str]:
    name = f"user-{next(_NUMBERS)}-{time.monotonic_ns()}"
    with cloud.admin() as admin:
        user = admin.create_user(name=name, password=MEMBER_PASSWORD, domain_id="default")
        admin.grant_role(role, user=user.id, project=admin.get_project(PROJECT).id)
    return name, user.id


@pytest.fixture
def site(openstack_cloud: OpenStack, capsys: pytest.CaptureFixture[str]) -> Site:
    name, user_id = new_user(openstack_cloud)
    return Site(openstack_cloud, name, user_id, f"bucket-{name}", capsys)


class TestCredentials:
    def test_check_mode_makes_nothing_and_says_what_a_real_run_does(self, site: Site) -> None:
        checked = site.module(check=True)
        assert site.secrets() == {}
        assert checked["access_key"] == ""
        assert checked["preflight"]["skipped"] == ["write", "read", "list", "delete"]

        created = site.module()
        assert list(site.secrets()) == [created["access_key"]]
        for key in ("changed", "changes", "diff", "objstore", "endpoint"):
            assert checked[key] == created[key]
        assert created["endpoint"] == site.cloud.swift
        assert [line.split()[:3] for line in created["changes"]] == [
            ["create", "Keystone", "EC2Credential"],
            ["create", "S3", "Bucket"],
        ]
        again = site.module()
        assert (again["changed"], again["access_key"]) == (False, created["access_key"])
        # What the bucket remembers is nothing that would have to be forced.
        removed = site.module(state="absent", remove_credentials=True)
        assert len(removed["changes"]) == 2
        assert site.secrets() == {}

    def test_one_that_is_there_is_used_and_stays_the_one(self, site: Site) -> None:
        with site.cloud.connection(username=site.user) as user:
            path = f"/users/{site.user_id}/credentials/OS-EC2"
            made = [
                user.identity.post(path, json={"tenant_id": user.current_project_id}).json()["credential"]["access"]
                for _number in range(2)
            ]
        assert site.module()["access_key"] == min(made)
        other = site.module(access_key=max(made))
        assert (other["changed"], other["access_key"]) == (False, max(made))
        # It is the one in use now, and the other one is the previous one.
        again = site.module()
        assert (again["access_key"], again["previous_access_keys"]) == (max(made), [min(made)])
        assert set(site.secrets()) == set(made)
        refused = site.module(access_key="unknown", fails=True)
        assert refused["parameter"] == "access_key"
        assert all(key in refused["msg"] for key in made)
        # They were not made for the bucket, so they do not go with it.
        removed = site.module(state="absent", remove_credentials=True)
        assert len(removed["changes"]) == 1
        assert set(site.secrets()) == set(made)

    def test_one_that_another_bucket_uses_stays(self, site: Site) -> None:
        made = site.module()["access_key"]
        other = replace(site, name=f"{site.name}-other")
        assert other.module()["access_key"] == made
        removed = site.module(state="absent", remove_credentials=True)
        assert len(removed["changes"]) == 1
        assert list(site.secrets()) == [made]
        assert other.module(check=True)["access_key"] == made
        assert other.module(state="absent", revoke_credentials=[made])["changed"] is True
        assert site.secrets() == {}

    def test_one_of_no_use_to_the_store_is_passed_over_or_refused(self, openstack_cloud: OpenStack, site: Site) -> None:
        """An onlooker cannot have one made; one that the administrator made is not accepted by Swift."""
        name, user_id = new_user(openstack_cloud, "reader")
        onlooker = Site(openstack_cloud, name, user_id, site.name, site.capsys)
        refused = onlooker.module(fails=True)
        assert (refused["error"], refused["parameter"], refused["status"]) == ("cloud_error", "auth", 403)
        assert "roles such as reader cannot" in refused["found"]
        with openstack_cloud.admin() as admin:
            project = admin.get_project(PROJECT).id
            admin.identity.post(f"/users/{user_id}/credentials/OS-EC2", json={"tenant_id": project})
        refused = onlooker.module(fails=True)
        assert (refused["error"], refused["parameter"]) == ("storage_error", "auth")
        assert "the store accepts none" in refused["msg"]

    def test_what_a_failed_run_made_goes_again(self, site: Site) -> None:
        refused = site.module(region="elsewhere", fails=True)
        assert refused["parameter"] == "region"
        assert site.secrets() == {}

    def test_a_bucket_that_was_never_there_needs_no_credential_afterwards(self, site: Site) -> None:
        assert site.module(state="absent", remove_credentials=True)["changed"] is False
        assert site.secrets() == {}

    def test_the_secret_is_read_where_the_role_uses_it(self, site: Site) -> None:
        """What the tasks of the role give to the modules, by the lookup of the collection and Ansible's templating."""
        made = site.module()
        calls = rendered.calls(
            "thanos.yml",
            "prometheus.yml",
            _observer_bucket=made,
            observer_bucket_endpoint="",
            observer_bucket_access_key="",
            observer_bucket_secret_key="",
            observer_bucket_auth=site.login["auth"],
            observer_bucket_ca=site.cloud.ca.read_text(),
        )
        secret = site.secrets()[made["access_key"]]
        given = [call.arguments for call in calls if "objstore" in call.arguments]
        assert {arguments["component"] for arguments in given} == {"compact", "receive", "store", "rule", "bucket_web"}
        assert {arguments["objstore_access_key"] for arguments in given} == {made["access_key"]}
        assert {arguments["objstore_secret_key"] for arguments in given} == {secret}
        (of_the_sidecar,) = (
            call.arguments["secrets"]["prometheus-objstore"]["objstore.yml"]
            for call in calls
            if "prometheus-objstore" in call.arguments.get("secrets", {})
        )
        assert secret in of_the_sidecar


class TestThroughAnsible:
    def test_the_examples_run(self, site: Site, tmp_path: Path) -> None:
        """With the name of a cloud and with a login, as the documentation has them; the secret by the lookup."""
        text = bucket.EXAMPLES.replace("name: thanos\n", f"name: {site.name}\n")
        tasks = [
            task for task in yaml.safe_load(text) if {"cloud", "auth"} & set(task.get("scs.observability.bucket", ()))
        ]
        for task in tasks:
            arguments = task["scs.observability.bucket"]
            arguments["ca_path"] = str(site.cloud.ca)
            if "auth" in arguments:
                assert set(arguments["auth"]) <= {"user_domain_name", "project_domain_name", *site.login["auth"]}
                arguments["auth"] = {**site.login["auth"], "password": "{{ keystone_password }}"}
        tasks.insert(
            1,
            {
                "name": "Look at the secret",
                "ansible.builtin.assert": {
                    "that": "lookup('scs.observability.ec2_credential', bucket.access_key, cloud='observer') != ''"
                },
            },
        )
        playbook = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
        (tmp_path / "examples.yml").write_text(yaml.safe_dump(playbook, sort_keys=False))
        cloud = {"auth": site.login["auth"], "cacert": str(site.cloud.ca)}
        (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"observer": cloud}}))
        variables = json.dumps({"keystone_password": MEMBER_PASSWORD})
        (tmp_path / "variables.json").write_text(variables)
        done = ansible("playbook", "examples.yml", "-e", "@variables.json", "-vvv", "--diff", tmp_path=tmp_path)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "ok=5 " in output
        assert "changed=4 " in output
        assert MEMBER_PASSWORD not in output
        assert site.secrets() == {}


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "parameter", "found"),
        [
            ({"password": "not this one"}, "auth", "refuses the login"),
            ({"project_name": OTHER_PROJECT}, "auth", "no role in the project"),
            ({"username": READER}, "auth", "roles such as reader cannot"),
            ({"auth_url": "https://127.0.0.1:1/v3"}, "auth", "connection is refused"),
            ({"auth_url": "https://nowhere.invalid/v3"}, "auth", "name cannot be resolved"),
        ],
    )
    def test_of_logins(self, site: Site, changed: dict[str, str], parameter: str, found: str) -> None:
        refused = site.module(auth={**site.login["auth"], **changed}, fails=True)
        assert (refused["error"], refused["parameter"]) == ("cloud_error", parameter)
        assert found in refused["found"]

    @pytest.mark.parametrize("unrestricted", [True, False])
    def test_of_application_credentials(self, site: Site, unrestricted: bool) -> None:
        with site.cloud.connection(username=site.user) as user:
            made = user.identity.create_application_credential(
                site.user_id, f"app-{unrestricted}", unrestricted=unrestricted
            )
        auth = {
            "auth_url": site.login["auth"]["auth_url"],
            "application_credential_id": made.id,
            "application_credential_secret": made.secret,
        }
        refused = site.module(auth=auth, auth_type="v3applicationcredential", fails=True)
        assert (refused["error"], refused["parameter"], refused["status"]) == ("cloud_error", "auth", 403)
        assert "application credential may not manage EC2 credentials" in refused["found"]
        assert made.secret not in json.dumps(refused)

    @pytest.mark.parametrize(
        ("changed", "error", "parameter"),
        [
            ({"cacert": None, "ca_path": None}, "cloud_error", "cacert"),
            ({"interface": "internal"}, "cloud_error", "endpoint"),
            ({"region_name": "Elsewhere"}, "cloud_error", "endpoint"),
            ({"auth": None, "cloud": "nowhere"}, "input_error", "cloud"),
            ({"auth": {"auth_url": "https://127.0.0.1/v3"}}, "input_error", "auth"),
            ({"secret_key": "of nobody's"}, "input_error", "secret_key"),
        ],
    )
    def test_of_other_parameters(self, site: Site, changed: dict[str, Any], error: str, parameter: str) -> None:
        refused = site.module(**changed, fails=True)
        assert (refused["error"], refused["parameter"]) == (error, parameter), refused
        assert site.secrets() == {}


class Thanos:
    """Thanos on the bucket, with credentials of a moment."""

    def __init__(self, site: Site, objstore: dict[str, Any], folder: Path) -> None:
        self._site, self._objstore, self._folder = site, objstore, folder

    def configuration(self, access_key: str) -> str:
        """As thanos_component writes it, the secret from the lookup."""
        text = to_yaml(with_credentials(self._objstore, access_key, self._site.lookup(access_key)))
        # In a pod, the authority's certificate is mounted there.
        assert CA_FILE in text
        return f"--objstore.config={text.replace(CA_FILE, str(self._site.cloud.ca))}"

    def run(self, access_key: str, *arguments: str) -> None:
        done = subprocess.run(
            [binary("thanos"), *arguments, self.configuration(access_key)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def blocks(self, access_key: str) -> set[str]:
        """What is in the bucket, as S3 lists it: Thanos' tools exit with 0 when they see nothing."""
        client = self._site.s3(access_key, self._site.secrets()[access_key])
        listed = client.list_objects_v2(Bucket=self._site.name).get("Contents", ())
        return {item["Key"].split("/")[0] for item in listed if item["Key"].endswith("/meta.json")}

    def serve(self, access_key: str, stack: ExitStack) -> str:
        """Have a store and a query over it; return the URL of query."""
        ports = {name: f"127.0.0.1:{free_port()}" for name in ("store", "store-http", "query", "query-http")}
        number = next(_NUMBERS)
        folder = self._folder / f"store-{number}"
        for name, arguments in (
            (
                "store",
                [
                    *(f"--data-dir={folder}", self.configuration(access_key), "--sync-block-duration=1h"),
                    "--ignore-deletion-marks-delay=0s",
                ],
            ),
            ("query", [f"--endpoint={ports['store']}"]),
        ):
            url = f"http://{ports[f'{name}-http']}"
            log = self._folder / f"{name}-{number}.log"
            addresses = [f"--http-address={ports[f'{name}-http']}", f"--grpc-address={ports[name]}"]
            running = stack.enter_context(process("thanos", [name, *addresses, *arguments], log))
            wait_until(lambda url=url: answers(f"{url}/-/ready"), running, log)  # type: ignore[misc]
        return url

    def samples(self, query: str) -> int:
        """How many samples there are, asked until all blocks are seen; then the number is for the test to judge."""
        deadline, number = time.monotonic() + 60, 0
        while number < SAMPLES and time.monotonic() < deadline:
            parameters = urlencode(
                {"query": f"count_over_time(sent[{HOURS}h])", "time": END - 1, "max_source_resolution": "0s"}
            )
            with urlopen(f"{query}/api/v1/query?{parameters}") as response:
                result = json.load(response)["data"]["result"]
            number = int(result[0]["value"][1]) if result else 0
            time.sleep(0 if number >= SAMPLES else 0.2)
        return number


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    """Blocks of two hours that Prometheus' own program writes."""
    text = "# TYPE sent gauge\n" + "".join(f"sent {number} {START + number * STEP}\n" for number in range(SAMPLES))
    (tmp_path / "samples").write_text(f"{text}# EOF\n")
    folder = tmp_path / "blocks"
    subprocess.run(
        [binary("promtool"), "tsdb", "create-blocks-from", "openmetrics", tmp_path / "samples", folder],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as processes:
        yield processes


def test_thanos_loses_no_block_while_its_credentials_are_rotated(
    site: Site, blocks: Path, stack: ExitStack, tmp_path: Path
) -> None:
    made = site.module()
    old = made["access_key"]
    thanos = Thanos(site, made["objstore"], tmp_path)
    thanos.run(old, "tools", "bucket", "upload-blocks", f"--path={blocks}", '--label=cluster="alpha"')
    uploaded = thanos.blocks(old)
    assert len(uploaded) == len([path for path in blocks.iterdir() if (path / "meta.json").exists()]) >= HOURS // 2
    before = thanos.serve(old, stack)
    assert thanos.samples(before) == SAMPLES

    rotated = site.module(rotate_credentials=True)
    new = rotated["access_key"]
    assert (rotated["changed"], rotated["previous_access_keys"]) == (True, [old])
    assert rotated["preflight"]["read_existing"] is True
    assert set(site.secrets()) == {old, new}
    # An interrupted run is repeated: there is no third one.
    again = site.module(rotate_credentials=True)
    assert (again["changed"], again["access_key"]) == (False, new)
    refused = site.module(revoke_credentials=[new], fails=True)
    assert refused["parameter"] == "revoke_credentials"

    # Both are good while Thanos takes the new one.
    after = thanos.serve(new, stack)
    assert thanos.samples(before) == thanos.samples(after) == SAMPLES

    old_secret = site.secrets()[old]
    checked = site.module(revoke_credentials=[old], check=True)
    revoked = site.module(revoke_credentials=[old, "gone already"])
    assert checked["changes"] == revoked["changes"] == [f"delete Keystone EC2Credential {old}"]
    assert list(site.secrets()) == [new]
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        site.s3(old, old_secret).list_objects_v2(Bucket=site.name)
    assert site.module(revoke_credentials=[old])["changed"] is False

    # The compactor works with the new one, and what it makes of the blocks is all there.
    thanos.run(
        new,
        *("compact", f"--data-dir={tmp_path / 'compact'}", "--consistency-delay=0s", "--delete-delay=0s"),
        *("--downsampling.disable", f"--http-address=127.0.0.1:{free_port()}"),
    )
    compacted = thanos.blocks(new)
    assert 0 < len(compacted) < len(uploaded)
    assert thanos.samples(thanos.serve(new, stack)) == SAMPLES

    refused = site.module(state="absent", remove_credentials=True, fails=True)
    assert refused["parameter"] == "force"
    assert thanos.blocks(new) == compacted
    secret = site.secrets()[new]
    removed = site.module(state="absent", force=True, remove_credentials=True)
    assert removed["deleted"]["objects"] > len(compacted)
    assert site.secrets() == {}
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        site.s3(new, secret).list_buckets()
    again = site.module(state="absent", force=True, remove_credentials=True)
    assert again["changed"] is False
    assert site.secrets() == {}


def endpoints(cloud: OpenStack, **changes: Any) -> list[dict[str, Any]]:
    return look_up({"auth": cloud.auth(), "cacert": str(cloud.ca), **changes})


def status(url: str, cloud: OpenStack) -> int:
    """What it answers to who has no token."""
    try:
        with urlopen(url, timeout=30, context=ssl.create_default_context(cafile=cloud.ca)) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code


class TestEndpoints:
    """The lookup openstack_endpoints: the cloud's catalog, as what is probed."""

    def test_what_a_cloud_says_of_itself_is_probed(self, openstack_cloud: OpenStack) -> None:
        found = endpoints(openstack_cloud, interval="15s", prefix="lab")
        assert [(entry["name"], entry["url"], entry["criticality"]) for entry in found] == [
            ("lab-regionone-identity", f"{openstack_cloud.keystone}/v3", "critical"),
            ("lab-regionone-object-store", f"{openstack_cloud.swift}/v1", "warning"),
        ]
        assert {entry["region"] for entry in found} == {CATALOG_REGION}
        assert blackbox_probes.read(found, {})[1] == []
        # As the module http_any takes it
        assert [
            status(entry["url"], openstack_cloud) for entry in found if status(entry["url"], openstack_cloud) >= 500
        ] == []

    def test_what_is_wanted_of_it(self, openstack_cloud: OpenStack) -> None:
        (only,) = endpoints(
            openstack_cloud, services=["object-store"], region_name=CATALOG_REGION, critical=["object-store"]
        )
        assert (only["name"], only["criticality"]) == ("regionone-object-store", "critical")
        with pytest.raises(InputError, match="services: 'dns'"):
            endpoints(openstack_cloud, services=["dns"])

    def test_a_login_that_is_refused_is_told_without_its_secrets(self, openstack_cloud: OpenStack) -> None:
        with pytest.raises(CloudError) as caught:
            endpoints(openstack_cloud, auth={**openstack_cloud.auth(), "password": f"{MEMBER_PASSWORD}x"})
        assert openstack_cloud.keystone in str(caught.value)
        assert MEMBER_PASSWORD not in str(caught.value)
