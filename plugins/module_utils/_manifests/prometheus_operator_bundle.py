# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle with the definitions of the Prometheus Operator, as released with its image."""

from __future__ import annotations

URL = "https://github.com/prometheus-operator/prometheus-operator/releases/download/v0.85.0/bundle.yaml"
CHECKSUM = "sha256:602f3a0c4f91952cfbbaedeed6542a8231134537191965275b9e2c2e05aeab72"
