# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the lab as processes on loopback.

They come from LAB_BIN, else from the lab's cache (`make lab` builds them).
"""

from __future__ import annotations

import os
import random
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab import bundle

START_TIMEOUT = 60.0


def binary(name: str) -> str:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = Path(os.environ.get("LAB_BIN") or cache / "scs-observability-lab" / "bin" / "current")
    path = folder / name
    if not path.is_file():
        pytest.fail(f"{path} is missing: `make lab` builds it, or let LAB_BIN point to a folder that has it")
    return str(path)


def prometheus_operator_bundle() -> Path:
    """The released bundle that the lab keeps as a file."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "scs-observability-lab"
    path = Path(os.environ.get("PROMETHEUS_OPERATOR_BUNDLE") or bundle.place(cache))
    if not path.is_file():
        pytest.fail(f"{path} is missing: `make lab` brings it, or let PROMETHEUS_OPERATOR_BUNDLE name the file")
    return path


# Below those that the kernel gives clients (net.ipv4.ip_local_port_range), or a connection has one before its server.
_PORTS = random.sample(range(15000, 30000), 15000)


def free_port() -> int:
    """A port on loopback, never the same twice. Test processes side by side take theirs from different ones."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = _PORTS.pop()
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            if port % processes == number % processes:
                return port


@contextmanager
def process(
    name: str, arguments: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the block lasts; the environment comes on top of this process's own."""
    env = {**os.environ, **(environment or {})}
    with log.open("wb") as output:
        started = subprocess.Popen([binary(name), *arguments], stdout=output, stderr=subprocess.STDOUT, env=env)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_until(
    condition: Callable[[], bool], running: subprocess.Popen[bytes], log: Path, timeout: float = START_TIMEOUT
) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if running.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{running.args!r} did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.1)


def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as response:
            return int(response.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def ansible(*arguments: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run Ansible itself, with the collection as it lies in the checkout."""
    roots = [path for path in sys.path if (Path(path) / "ansible_collections" / "scs" / "observability").is_dir()]
    return subprocess.run(
        [sys.executable, "-m", "ansible", *arguments],
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "COV_"))},
            "ANSIBLE_COLLECTIONS_PATH": roots[0],
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
            "ANSIBLE_NOCOLOR": "1",
        },
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
