# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fixture for tests with many S3 clients."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import botocore.loaders
import pytest


@pytest.fixture(scope="session", autouse=True)
def models_are_read_once() -> Iterator[None]:
    """botocore reads its description of S3 for each client anew, which takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lru_cache(botocore.loaders.create_loader))
        yield
