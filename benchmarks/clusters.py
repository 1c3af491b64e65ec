# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What many clusters cost beside one: onboard.yml over 1 and 100 clusters where nothing is different, and 1 and 10 new.

The clusters are one real API server, shown as many by a proxy on loopback, so that it and the proxy do the work of a
hundred servers. They have no kubelet, so nothing is waited for or proven here: benchmarks/onboarding.py measures that
on the lab. Needs the programs of the lab, and no cluster.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import bounds
import playbook
import yaml
from bounds import Bound

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

import tests.conftest  # noqa: F401, E402
from tests.integration.api_server import running_api_server  # noqa: E402
from tests.integration.shown_clusters import shown_clusters  # noqa: E402

TASK = "Bring all clusters to what is wanted, side by side, until that is proven"
MANY = 100
NEW = 10
ROUNDS = 3
Seconds = tuple[float, float]


def measure(inventory: Path, limit: str, *, changed: bool) -> Seconds:
    """Seconds of the module's call, and of the whole playbook."""
    run = playbook.run("scs.observability.onboard", f"--limit={limit}", inventory=inventory)
    if bool(run.changed) is not changed:
        sys.exit(f"{limit}: {run.changed} changes")
    return run.task(TASK).seconds, run.seconds


def show(what: str, few: Sequence[Seconds], many: Sequence[Seconds], bound: float) -> Iterator[Bound]:
    for place, name in ((0, "the module's call"), (1, "the whole playbook")):
        one, all_ = ([run[place] for run in runs] for runs in (few, many))
        ratio = statistics.median(all_) / statistics.median(one)
        print(
            f"  {what:40} {name:20} {statistics.median(one):6.1f} s ({min(one):.1f} to {max(one):.1f})"
            f" {statistics.median(all_):6.1f} s ({min(all_):.1f} to {max(all_):.1f})"
            f"  ratio {ratio:4.1f}, at most {bound:g}"
        )
        yield Bound(f"{what}, {name}", ratio, bound)


def main(rounds: int) -> None:
    numbers = range(MANY)
    with ExitStack() as stack:
        observer = stack.enter_context(running_api_server(folder(stack)))
        server = stack.enter_context(running_api_server(folder(stack)))
        shown = stack.enter_context(shown_clusters(server, numbers))
        inventory = folder(stack) / "hosts.yml"
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "kaas_agent_observer_kubeconfig": str(observer.kubeconfig()),
            "kaas_agent_remote_write_url": "https://gateway.example.org/api/v1/receive",
            "kaas_agent_wait": False,
        }
        hosts = {f"kaas-{number}": {"kaas_agent_kubeconfig": str(shown.kubeconfig(number))} for number in numbers}
        inventory.write_text(yaml.safe_dump({"kaas": {"hosts": hosts, "vars": common}}))

        # The first makes what all rest on.
        measure(inventory, "kaas-0", changed=True)
        names = iter(list(hosts)[1:])

        def new(count: int) -> Callable[[], Seconds]:
            return lambda: measure(inventory, ",".join(next(names) for _number in range(count)), changed=True)

        one_new, ten_new = [], []
        for _round in range(rounds):
            one_new.append(new(1)())
            ten_new.append(new(NEW)())
        playbook.run("scs.observability.onboard", inventory=inventory)
        one, hundred = [], []
        for _round in range(rounds):
            one.append(measure(inventory, "kaas-0", changed=False))
            hundred.append(measure(inventory, "kaas", changed=False))
    print(f"Clusters in one run: {rounds} rounds; median (min to max)")
    bounds.tell(
        [
            *show(f"1 and {NEW} new clusters", one_new, ten_new, 3),
            *show(f"1 and {MANY} clusters, nothing is different", one, hundred, 10),
        ]
    )


def folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
