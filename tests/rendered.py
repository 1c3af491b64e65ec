# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role `observer` hands to the modules that make objects, with Ansible's own templating.

In a process of its own (this file is the program, too), because Ansible's loader of collections takes imports over.
"""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
ROLE = CHECKOUT / "roles" / "observer"
COLLECTION = "scs.observability."
MODULES = ("apply_set", "thanos_component")

# What must be given, what tasks before have found, and what Ansible says by itself
GIVEN: dict[str, Any] = {
    "inventory_hostname": "observer-1",
    "ansible_check_mode": False,
    "omit": "",
    "observer_bucket_name": "metrics",
    "observer_bucket_endpoint": "https://s3.example.org",
    "observer_bucket_access_key": "key",
    "observer_bucket_secret_key": "swordfish",
    "_observer_preflight": {"facts": {"api_server_networks": ["192.0.2.10/32"]}, "problems": []},
    "_observer_bucket": {
        "name": "metrics",
        "objstore": {"type": "S3", "config": {"bucket": "metrics", "endpoint": "s3.example.org"}},
    },
    **{
        f"_observer_{name}": {
            "endpoints": {
                "grpc": f"dnssrv+_grpc._tcp.thanos-{name}-headless.scs-observability.svc",
                "http": f"http://thanos-{name.replace('_', '-')}.scs-observability.svc:10902",
            }
        }
        for name in ("receive", "store", "rule", "query", "query_frontend")
    },
}


@dataclass(frozen=True)
class Call:
    """One task with such a module: the file that it is in, and the module's arguments."""

    file: str
    task: str
    module: str
    arguments: Mapping[str, Any] = field(repr=False)


def calls(*files: str, **variables: Any) -> list[Call]:
    """All of them in the role, or in some files of tasks; its defaults are changed by ``variables``."""
    worker = _worker()
    if worker.stdin is None or worker.stdout is None:
        raise AssertionError("the worker has no pipes")
    worker.stdin.write(json.dumps({"files": files, "variables": variables}) + "\n")
    worker.stdin.flush()
    answer = json.loads(worker.stdout.readline())
    if "error" in answer:
        raise AssertionError(answer["error"])
    return [Call(**item) for item in answer["calls"]]


@cache
def _worker() -> subprocess.Popen[str]:
    """One process for all calls: it ends when its input does, with this process."""
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )


def tasks(content: Any, variables: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the tasks of a file, those in blocks too, with what is a variable only there."""
    for task in content or []:
        inside = {**variables, **task.get("vars", {})}
        yield task, inside
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part), inside)


@cache
def _loader() -> Any:
    """One for all requests: it knows the files that it has read."""
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415

    return DataLoader()


def _render(files: Sequence[str], changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    from ansible.template import Templar  # noqa: PLC0415

    loader = _loader()

    def load(path: Path) -> Any:
        return loader.load_from_file(str(path), trusted_as_template=True) or []

    variables = {
        **load(ROLE / "defaults" / "main.yml"),
        **load(ROLE / "vars" / "main.yml"),
        **GIVEN,
        "role_path": str(ROLE),
        "ansible_search_path": [str(ROLE)],
        **changes,
    }
    result = []
    for path in sorted((ROLE / "tasks").glob("*.yml")):
        # What takes away makes nothing.
        if path.name == "absent.yml" or (files and path.name not in files):
            continue
        for task, inside in tasks(load(path), {}):
            for module in MODULES:
                if COLLECTION + module not in task:
                    continue
                templar = Templar(loader=loader, variables={**variables, **inside})
                arguments = templar.template(task[COLLECTION + module])
                call = {"file": path.name, "task": task["name"], "module": module, "arguments": arguments}
                result.append(json.loads(json.dumps(call)))
    return result


def _serve() -> None:
    """Answer one request per line."""
    from ansible.plugins.loader import init_plugin_loader  # noqa: PLC0415

    init_plugin_loader([str(CHECKOUT / ".build" / "dev")])
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer: dict[str, Any] = {"calls": _render(asked["files"], asked["variables"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
