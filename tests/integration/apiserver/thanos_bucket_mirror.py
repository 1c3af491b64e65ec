# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An invented component, which copies the bucket to another one: everything that has to be said of it."""

from __future__ import annotations

from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import Component

COMPONENT = Component(
    name="bucket_mirror",
    command=("tools", "bucket", "replicate"),
    resources={"requests": {"cpu": "10m"}},
    takes=("objstore", "storage_size", "storage_class"),
    arguments=lambda settings: ["--objstore-to.config-file=/etc/thanos/configuration/to.yml"],
    files=lambda settings: {"to.yml": "type: FILESYSTEM\n"},
    stateful=True,
    data_path="/var/thanos/mirror",
    storage_size="1Gi",
    needs_objstore=True,
    single="Two would copy everything twice",
)
