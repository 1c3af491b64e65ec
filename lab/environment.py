# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab tells to shells and scripts: addresses, kubeconfigs, credentials' places."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from ipaddress import IPv4Network

from lab import bundle, s3
from lab.clusters import GATEWAY_NODE_PORT
from lab.state import BUCKET, OBSERVER, Lab, LabError, State


def variables(lab: Lab, state: State) -> dict[str, str]:
    """Environment variables of a lab that is up, from its state file alone."""
    if OBSERVER not in state.clusters or None in (state.s3_endpoint, state.binaries, state.subnet):
        raise LabError(f"there is no complete lab in {lab.directory}; `make lab` brings it up")
    kubeconfigs = {f"{name.upper().replace('-', '_')}_KUBECONFIG": str(lab.kubeconfig(name)) for name in state.clusters}
    return {
        **kubeconfigs,
        "S3_ENDPOINT": state.s3_endpoint,
        "S3_CA_FILE": s3.ca_file(lab),
        "S3_CREDENTIALS_FILE": s3.credentials_file(lab),
        "S3_BUCKET": BUCKET,
        "GATEWAY_URL": f"https://{lab.node(OBSERVER)}:{GATEWAY_NODE_PORT}/api/v1/receive",
        "GATEWAY_NODE_ADDRESS": f"{state.gateway_node_address}:{GATEWAY_NODE_PORT}",
        # This machine, as containers reach it
        "HOST_ADDRESS": str(IPv4Network(str(state.subnet))[1]),
        "WEB_ADDRESS": f"127.0.0.1:{state.web_port}",
        **({"IAAS_INVENTORY": str(lab.iaas_inventory)} if state.iaas else {}),
        "PROMETHEUS_OPERATOR_BUNDLE": str(bundle.place(lab.cache)),
        "LAB_BIN": state.binaries,
    }


def exports(values: Mapping[str, str]) -> str:
    """Lines for `eval` in any POSIX shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
