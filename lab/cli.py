# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: up, down, status, env, images, kolla."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from lab import environment, lifecycle
from lab.iaas.kolla import ACTIONS, RELEASES
from lab.progress import Progress
from lab.state import Lab, LabError, State, lab_from_environment

DEFAULT_KAAS = 2
MOST_KAAS = 20


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="python -m lab",
        description="Real clusters for demo and tests: KinD clusters and an S3 server on one Docker network.",
        epilog="LAB_PREFIX names another lab beside the default one (scs-lab). See docs/lab.md.",
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="bring the lab up; changes nothing when it is up")
    up.add_argument(
        "--clusters",
        type=number_of_clusters,
        default=os.environ.get("LAB_KAAS") or str(DEFAULT_KAAS),
        metavar="N",
        help=f"KaaS clusters beside the observer (default: LAB_KAAS, else {DEFAULT_KAAS}); those there are stay",
    )
    up.add_argument(
        "--iaas",
        action="store_true",
        default=os.environ.get("IAAS", "") not in ("", "0"),
        help="with an IaaS host of each release of kolla (default: IAAS=1 in the environment); those there are stay",
    )
    commands.add_parser("down", help="remove exactly what the lab made; images and programs stay cached")
    commands.add_parser("status", help="table of the lab's parts; exit status 0 when all are up")
    commands.add_parser("env", help="shell exports of the lab's addresses, kubeconfigs and credential files")
    commands.add_parser(
        "images", help="only pull or build the images, and the programs that the integration tests start"
    )
    kolla = commands.add_parser("kolla", help="run kolla-ansible on an IaaS host, as OSISM would")
    kolla.add_argument("host", choices=RELEASES, help="the release that the host was made with")
    kolla.add_argument("action", choices=ACTIONS)
    kolla.add_argument("--release", choices=RELEASES, help="whose kolla-ansible (default: the host's)")
    return whole


def number_of_clusters(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_KAAS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_KAAS}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command's exit status: 1 for a failure or an incomplete lab, 2 for bad arguments, 130 when interrupted."""
    options = parser().parse_args(arguments)
    # Ended from outside it cleans up as after Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(options, lab_from_environment(os.environ))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlab: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has seen enough; nothing may be written to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def run(options: argparse.Namespace, lab: Lab) -> int:
    if options.command == "status":
        parts = lifecycle.status(lab)
        print(lifecycle.table(parts, datetime.now(UTC)), end="")
        return 0 if all(part.is_up for part in parts) else 1
    if options.command == "env":
        print(environment.exports(environment.variables(lab, State.load(lab.state_file))), end="")
        return 0
    progress = Progress(lab.logs)
    if options.command == "up":
        lifecycle.up(lab, options.clusters, progress, iaas=options.iaas)
        progress.say("The lab is up. `make lab-status` shows it, `make lab-env` prints its addresses for a shell.")
    elif options.command == "down":
        lifecycle.down(lab, progress)
    elif options.command == "kolla":
        lifecycle.kolla(lab, options.host, options.action, options.release or options.host, progress)
    else:
        lab.make_directory()
        lifecycle.prepare(lab, progress, tests=True)
    return 0
