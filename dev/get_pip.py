# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the pip bootstrap script of ansible-test where that cannot be downloaded.

ansible-test runs it inside a new virtual environment without pip, with the wanted packages as arguments. ensurepip goes
into a process of its own: run in this one it switches off pip's configuration for the install that follows.
"""

from __future__ import annotations

import subprocess
import sys

# What today's pip does anyhow; the options are get-pip's own.
GET_PIP_OPTIONS = {"--no-setuptools", "--no-wheel"}

subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True, stdout=subprocess.DEVNULL)
arguments = [argument for argument in sys.argv[1:] if argument not in GET_PIP_OPTIONS]
sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *arguments], check=False).returncode)
