# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidecar as the module runs it beside a Prometheus as kolla runs it, read by a real query over mutual TLS."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    IncompatibleError,
    InputError,
    InputErrors,
    NotReadyError,
)
from ansible_collections.scs.observability.plugins.module_utils._identity.certificates import (
    KeyPair,
    create_authority,
    issue,
)
from ansible_collections.scs.observability.plugins.module_utils._manifests import images
from ansible_collections.scs.observability.plugins.module_utils._osism.operation import ensure
from tests.integration.osism.kolla import (
    IMAGE,
    PASSWORD,
    UID,
    USER,
    KollaPrometheus,
    build_image,
    docker,
    kolla_prometheus,
    needs_engine,
)
from tests.integration.processes import answers, free_port, process, wait_until
from tests.integration.s3_server import S3Server, running_s3_server
from tests.integration.thanos.conftest import new_bucket
from tests.integration.thanos.pods import wait_for

SERVER_NAME = "control-1.iaas.scs-observability"
SOON = 60.0


@dataclass
class Sidecar:
    """One sidecar, as the module has it."""

    prometheus: KollaPrometheus
    folder: Path
    authority: KeyPair
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)

    @property
    def name(self) -> str:
        return f"{self.prometheus.name}-sidecar"

    def parameters(self, **others: Any) -> dict[str, Any]:
        """What the module is given at least."""
        return {
            "state": "present",
            "container": self.prometheus.name,
            "name": self.name,
            "directory": str(self.folder / "etc"),
            "wait_timeout": 30,
            **others,
        }

    def certificate(self, authority: KeyPair | None = None, name: str = SERVER_NAME) -> dict[str, Any]:
        authority = authority or self.authority
        pair = issue(authority, name, datetime.now(UTC), dns_names=[name], server=True, client=False)
        return {
            "tls_certificate": pair.certificate,
            "tls_key": pair.key,
            "tls_client_ca": authority.certificate,
            "server_name": SERVER_NAME,
        }

    def settings(self) -> dict[str, Any]:
        return {
            "grpc_address": "127.0.0.1",
            "grpc_port": self.port,
            "http_port": self.http_port,
            "prometheus_user": USER,
            "prometheus_password": PASSWORD,
            **self.certificate(),
        }

    def run(self, *, check: bool = False, **params: Any) -> dict[str, Any]:
        return ensure(self.parameters(**params), check)

    def inspect(self) -> dict[str, Any] | None:
        found = json.loads(docker("container", "inspect", self.name, check=False) or "[]")
        return found[0] if found else None

    @property
    def files(self) -> Path:
        return self.folder / "etc" / self.name

    def lets_in(self, authority: KeyPair | None) -> bool:
        """Whether its gRPC port talks to a client with a certificate of an authority, and with TLS 1.3."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        if authority is not None:
            pair = issue(authority, "any", datetime.now(UTC), server=False, client=True)
            path = self.folder / "client.pem"
            path.write_text(pair.certificate + pair.key)
            context.load_cert_chain(path)
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as plain:
            try:
                with context.wrap_socket(plain) as connection:
                    assert connection.version() == "TLSv1.3"
                    # HTTP/2 begins with the server's settings.
                    return len(connection.recv(9)) == 9
            except ssl.SSLError:
                return False


@contextmanager
def second(made: Sidecar) -> Iterator[Sidecar]:
    """One that is gone afterwards."""
    made.folder.mkdir(exist_ok=True)
    try:
        yield made
    finally:
        docker("rm", "--force", made.name, check=False)


@contextmanager
def query(folder: Path, endpoints: Sequence[int], authority: KeyPair) -> Iterator[int]:
    """A real query of the observer; its port is yielded."""
    folder.mkdir()
    pair = issue(authority, "thanos-query", datetime.now(UTC), server=False, client=True)
    for name, text in {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}.items():
        (folder / name).write_text(text)
    port = free_port()
    arguments = [
        "query",
        f"--http-address=127.0.0.1:{port}",
        f"--grpc-address=127.0.0.1:{free_port()}",
        "--grpc-client-tls-secure",
        f"--grpc-client-tls-cert={folder / 'tls.crt'}",
        f"--grpc-client-tls-key={folder / 'tls.key'}",
        f"--grpc-client-tls-ca={folder / 'ca.crt'}",
        f"--grpc-client-server-name={SERVER_NAME}",
        "--query.replica-label=replica",
        "--store.sd-dns-interval=1s",
        *(f"--endpoint=127.0.0.1:{item}" for item in endpoints),
    ]
    log = folder / "log"
    with process("thanos", arguments, log) as running:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), running, log)
        yield port


def objects(s3: S3Server, bucket: str) -> list[str]:
    return [item["Key"] for item in s3.witness.list_objects_v2(Bucket=bucket).get("Contents", [])]


def series(port: int, selector: str, **parameters: str) -> list[dict[str, str]]:
    asked = urlencode({"query": selector, **parameters})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{asked}", timeout=30) as response:
        return [item["metric"] for item in json.load(response)["data"]["result"]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    needs_engine()
    build_image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return create_authority("internal", datetime.now(UTC))


@pytest.fixture(scope="module")
def prometheus(image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KollaPrometheus]:
    with kolla_prometheus(tmp_path_factory.mktemp("prometheus")) as made:
        yield made


@pytest.fixture
def sidecar(prometheus: KollaPrometheus, authority: KeyPair, tmp_path: Path) -> Iterator[Sidecar]:
    with second(Sidecar(prometheus, tmp_path / "sidecar", authority)) as made:
        yield made


def test_a_sidecar_comes_stays_and_goes(sidecar: Sidecar, authority: KeyPair) -> None:
    kollas = sidecar.prometheus.snapshot()
    settings = sidecar.settings()
    foreseen = sidecar.run(check=True, **settings)
    assert (sidecar.inspect(), list(sidecar.folder.iterdir())) == (None, [])

    made = sidecar.run(**settings)
    assert (made["changes"], made["diff"]) == (foreseen["changes"], foreseen["diff"])
    assert {name: made[name] for name in ("volume", "external_labels", "version", "endpoint")} == {
        "volume": None,
        "external_labels": sidecar.prometheus.labels,
        "version": images.PROMETHEUS.rpartition(":v")[2],
        "endpoint": f"127.0.0.1:{sidecar.port}",
    }
    found = sidecar.inspect()
    assert found is not None
    host = found["HostConfig"]
    assert (found["Config"]["User"], host["NetworkMode"]) == (f"{UID}:{UID}", "host")
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert (host["SecurityOpt"], host["RestartPolicy"]["Name"]) == (["no-new-privileges"], "unless-stopped")
    assert [(item["Destination"], item["RW"]) for item in found["Mounts"]] == [("/etc/thanos", False)]
    # Nobody but root gets to the files, and the container's user to those that are for it.
    modes = {str(path.relative_to(sidecar.folder)): path.stat() for path in sidecar.folder.rglob("*")}
    assert {oct(state.st_mode & 0o077) for state in modes.values()} == {"0o0"}
    assert {state.st_uid for name, state in modes.items() if "/thanos" in name} == {UID}

    again = sidecar.run(**settings)
    assert (again["changed"], again["changes"]) == (False, [])
    # Without anything, it is as it was the last time.
    assert sidecar.run()["changed"] is False

    foreseen = sidecar.run(check=True, state="absent")
    assert sidecar.inspect() is not None
    gone = sidecar.run(state="absent")
    assert gone["changes"] == foreseen["changes"] != []
    assert (sidecar.inspect(), list(sidecar.folder.iterdir())) == (None, [])
    assert sidecar.run(state="absent")["changed"] is False
    assert sidecar.prometheus.snapshot() == kollas
    shown = json.dumps([foreseen, made, again, gone])
    assert [text for text in (PASSWORD, *settings["tls_key"].splitlines()[1:-1]) if text in shown] == []


def test_query_reads_both_replicas_as_one_and_nobody_else_reads(
    sidecar: Sidecar, authority: KeyPair, tmp_path: Path
) -> None:
    sidecar.run(**sidecar.settings())
    labels = {**sidecar.prometheus.labels, "replica": "control-2"}
    # Both scrape the same.
    target = sidecar.prometheus.port
    with (
        kolla_prometheus(tmp_path, labels=labels, target=target) as prometheus,
        second(Sidecar(prometheus, tmp_path / "second", authority)) as other,
        query(tmp_path / "query", [sidecar.port, other.port], authority) as port,
    ):
        other.run(**other.settings())
        selector = 'up{layer="iaas",region="RegionOne"}'
        wait_for(lambda: len(series(port, selector, dedup="false")) == 2, SOON, "both replicas")
        (joined,) = series(port, selector)
        assert joined == {
            "__name__": "up",
            "instance": f"127.0.0.1:{target}",
            "job": "prometheus",
            "layer": "iaas",
            "region": "RegionOne",
        }

        sidecar.prometheus.restart()
        restarted = time.time()
        fresh = f'timestamp(up{{replica="control-1"}}) > {restarted}'
        wait_for(lambda: series(port, fresh, dedup="false"), SOON, "samples after the restart of Prometheus")

    tenants = create_authority("tenants", datetime.now(UTC))
    assert sidecar.lets_in(authority)
    assert not sidecar.lets_in(tenants)
    assert not sidecar.lets_in(None)


def test_what_differs_is_repaired(sidecar: Sidecar) -> None:
    settings = sidecar.settings()
    sidecar.run(**settings)
    key = sidecar.files / "thanos" / "tls" / "tls.key"
    stray = sidecar.files / "thanos" / "objstore" / "objstore.yml"

    def tamper() -> None:
        key.chmod(0o644)
        stray.parent.mkdir()
        stray.write_text("type: S3")

    def exchange() -> None:
        """Another key, as from a backup: Thanos refuses connections with it."""
        key.chmod(0o600)
        key.write_text(issue(sidecar.authority, "other", datetime.now(UTC), server=True, client=False).key)

    for drift, expected in (
        (lambda: docker("stop", "--time=5", sidecar.name), ["update container"]),
        (lambda: docker("update", "--memory=256m", "--memory-swap=512m", sidecar.name), ["update container"]),
        (lambda: docker("rm", "--force", sidecar.name), ["create container"]),
        (tamper, ["delete file", "update file"]),
        (exchange, ["update file"]),
    ):
        drift()
        foreseen = sidecar.run(check=True, **settings)
        repaired = sidecar.run(**settings)
        assert [line.rpartition(" ")[0] for line in repaired["changes"]] == expected
        assert repaired["diff"] == foreseen["diff"]
    assert sidecar.run(**settings)["changed"] is False
    assert not stray.exists()
    assert sidecar.lets_in(sidecar.authority)


def test_certificates_are_renewed_and_an_authority_is_rotated(sidecar: Sidecar) -> None:
    sidecar.run(**sidecar.settings())
    before = sidecar.inspect()
    renewed = sidecar.run(**sidecar.settings())
    # Used for the next connection, which the module waits for.
    assert [line.rpartition("/")[2] for line in renewed["changes"]] == ["settings.json", "tls.crt", "tls.key"]
    after = sidecar.inspect()
    assert before is not None
    assert after is not None
    assert (before["Id"], before["State"]["StartedAt"]) == (after["Id"], after["State"]["StartedAt"])

    new = create_authority("internal", datetime.now(UTC))
    both = {"tls_client_ca": sidecar.authority.certificate + new.certificate}
    rotated = sidecar.run(**{**sidecar.settings(), **both})
    assert f"update container {sidecar.name}" in rotated["changes"]
    assert sidecar.lets_in(new)
    assert sidecar.lets_in(sidecar.authority)
    sidecar.run(**{**sidecar.settings(), **sidecar.certificate(new)})
    assert sidecar.lets_in(new)
    assert not sidecar.lets_in(sidecar.authority)


def test_blocks_are_uploaded_and_a_volume_moves_while_it_is_suspended(
    image: None, authority: KeyPair, tmp_path: Path
) -> None:
    """kolla's upgrade to 2025.1 moves the volume, which fails while a container refers to it."""
    (tmp_path / "s3").mkdir()
    # In every form that Prometheus writes texts in
    odd = {"zone": "1", "quoted": "it's: #1", "both": 'a "b" \\ \t ü', "long": "many words " * 20 + "end"}
    with (
        kolla_prometheus(tmp_path, labels={"layer": "iaas", "replica": "control-1", **odd}) as prometheus,
        running_s3_server(tmp_path / "s3") as s3,
        second(Sidecar(prometheus, tmp_path, authority)) as sidecar,
    ):
        prometheus.backfill()
        store = new_bucket(s3, "iaas")
        # The bucket is away, which keeps nobody from reading.
        s3.stop()
        made = sidecar.run(**sidecar.settings(), **store)
        assert made["volume"] == prometheus.volume
        assert made["external_labels"] == prometheus.labels
        assert sidecar.lets_in(authority)
        s3.start()
        # As when the engine is restarted
        docker("restart", "--time=5", sidecar.name)
        (key,) = wait_for(lambda: [key for key in objects(s3, "iaas") if key.endswith("/meta.json")], SOON, "a block")
        meta = json.loads(s3.witness.get_object(Bucket="iaas", Key=key)["Body"].read())
        assert (meta["thanos"]["labels"], meta["thanos"]["source"]) == (prometheus.labels, "sidecar")
        again = sidecar.run(**sidecar.parameters())
        assert again["changed"] is False
        shown = json.dumps([made, again])
        assert store["objstore_secret_key"] not in shown

        former = prometheus.volume
        prometheus.remove()
        docker("volume", "rm", former, check=False)
        assert former in docker("volume", "ls", "--quiet").split()
        assert sidecar.run(state="suspended")["changes"] == [f"delete container {sidecar.name}"]
        assert sidecar.run(state="suspended")["changed"] is False
        docker("volume", "rm", former)
        prometheus.volume = f"{former}-moved"
        prometheus.deploy()
        back = sidecar.run()
        assert (back["volume"], back["changes"]) == (prometheus.volume, [f"create container {sidecar.name}"])

        # What it is redeployed with, while the sidecar is there
        prometheus.remove()
        prometheus.volume = former
        prometheus.deploy()
        followed = sidecar.run()
        assert (followed["volume"], followed["changes"]) == (former, [f"update container {sidecar.name}"])
        docker("volume", "rm", f"{former}-moved")


def test_a_prometheus_that_nothing_can_be_done_with_is_refused_with_all_its_faults(
    image: None, authority: KeyPair, tmp_path: Path
) -> None:
    with kolla_prometheus(tmp_path, labels={}, flags=(), mounted=False) as prometheus:
        sidecar = Sidecar(prometheus, tmp_path / "none", authority)
        store = {"objstore": {"type": "S3", "config": {"bucket": "iaas", "endpoint": "s3.example.org"}}}
        with pytest.raises(InputErrors) as caught:
            sidecar.run(**sidecar.settings(), **store)
        kinds = [(error.parameter, error.message) for error in caught.value.errors]
        assert [parameter for parameter, _message in kinds] == ["container", "container", "objstore"]
        for (_parameter, message), expected in zip(
            kinds, ("no external labels", "is in no volume", "from 2h to "), strict=True
        ):
            assert expected in message
        assert sidecar.inspect() is None


def test_what_would_not_work_is_refused_before_anything_changes(sidecar: Sidecar) -> None:
    stranger = create_authority("stranger", datetime.now(UTC))
    settings = sidecar.settings()
    wrong = {
        **sidecar.certificate(name="control-2.example.org"),
        "http_address": "192.0.2.1",
        "prometheus_password": "wrong",
        "objstore": {"config": {}},
        "resources": {"memory": "1Ki"},
    }
    with socket.create_server(("127.0.0.1", sidecar.port)), pytest.raises(InputErrors) as caught:
        sidecar.run(**{**settings, **wrong})
    assert [error.parameter for error in caught.value.errors] == [
        "tls_certificate",
        "objstore",
        "resources.memory",
        "prometheus_password",
        "grpc_port",
        "http_address",
    ]
    for other, parameter in (
        ({"container": "none"}, "container"),
        ({"tls_key": issue(stranger, "other", datetime.now(UTC), server=True, client=False).key}, "tls_key"),
        ({"prometheus_user": "", "prometheus_password": ""}, "prometheus_user"),
        ({"image": "127.0.0.1:1/none:1"}, "image"),
        ({"docker_host": "unix:///none.sock"}, "docker_host"),
        ({"grpc_address": None}, "grpc_address"),
    ):
        with pytest.raises(InputError) as refused:
            sidecar.run(**{**settings, **other})
        assert (refused.value.parameter, type(refused.value)) == (parameter, InputError), str(refused.value)
    assert (sidecar.inspect(), list(sidecar.folder.iterdir())) == (None, [])
    docker("run", "--detach", f"--name={sidecar.name}", "--entrypoint=/bin/thanos", images.THANOS, "--version")
    with pytest.raises(IncompatibleError, match="did not make"):
        sidecar.run(state="absent")


def test_one_that_does_not_get_ready_is_told_with_what_it_says(sidecar: Sidecar) -> None:
    settings = sidecar.settings()
    # Not Thanos, which does not know the arguments
    with pytest.raises(NotReadyError, match=r"is not ready after 1 s, its container is \w+; it says:\n.*sidecar"):
        sidecar.run(**{**settings, "image": IMAGE, "wait_timeout": 1})
    assert sidecar.run(**settings)["changes"] == [
        f"update container {sidecar.name}",
        f"update file {sidecar.files / 'settings.json'}",
    ]


def test_a_full_disk_leaves_what_runs(sidecar: Sidecar) -> None:
    settings = sidecar.settings()
    place = sidecar.folder / "etc"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        sidecar.run(**settings)
        before = sidecar.inspect()
        with pytest.raises(OSError, match="No space"):
            (place / "large").write_bytes(bytes(2**20))
        with pytest.raises(InputError, match=r"cannot be written: No space left on device") as caught:
            sidecar.run(**{**settings, "log_level": "debug", **sidecar.certificate()})
        assert caught.value.parameter == "directory"
        after = sidecar.inspect()
        assert before is not None
        assert after is not None
        assert (before["Id"], after["State"]["Status"]) == (after["Id"], "running")
        assert sidecar.lets_in(sidecar.authority)
        (place / "large").unlink()
        assert sidecar.run(**{**settings, "log_level": "debug"})["changed"] is True
    finally:
        docker("rm", "--force", sidecar.name)
        subprocess.run(["umount", place], check=True)
