# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thanos' credentials are exchanged as docs/object-storage.md says: both pairs are good while pods are replaced."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.scs.observability.plugins.module_utils._objstore.compactor_claim import (
    Owner,
    claim,
    place,
    release,
)
from tests.integration.s3_server import BLOCK, S3Server, User

from .conftest import Module

COMPACTOR = Owner("uid-a", "monitoring", "compactor", "observer-a")


@pytest.fixture(scope="module")
def old(s3: S3Server) -> User:
    user = User("rotation-old", secrets.token_urlsafe(24))
    s3.create_user(user)
    return user


@pytest.fixture(scope="module")
def new(s3: S3Server) -> User:
    user = User("rotation-new", secrets.token_urlsafe(24))
    s3.create_user(user)
    return user


def allow(s3: S3Server, bucket: str, granted: dict[User, str]) -> None:
    """The store's operator lets users list the bucket and do everything with objects of a pattern, each its own."""
    arn = f"arn:aws:s3:::{bucket}"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": [user.access_key]}, "Action": actions, "Resource": [resource]}
            for user, pattern in granted.items()
            for resource, actions in (
                (arn, ["s3:ListBucket", "s3:ListBucketMultipartUploads"]),
                (f"{arn}/{pattern}", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
            )
        ],
    }
    s3.client(s3.root).put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def credentials(user: User) -> dict[str, str]:
    return {"access_key": user.access_key, "secret_key": user.secret_key}


@pytest.mark.usefixtures("one_attempt")
def test_the_old_and_the_new_are_good_side_by_side(
    module: Module, s3: S3Server, parameters: dict[str, Any], name: str, old: User, *, new: User
) -> None:
    def run(user: User, **how: Any) -> dict[str, Any]:
        return module({**parameters, **credentials(user)}, **how)

    objstore = run(old)["objstore"]
    s3.put_block(name, old)

    # Nobody has let the new ones in yet.
    assert run(new, check=True, fails=True)["parameter"] == "name"

    # Good for a bucket, and not for the blocks in it: without that step it would be found by the store gateway.
    allow(s3, name, {old: "*", new: ".scs-observability-preflight/*"})
    refused = run(new, check=True, fails=True)
    assert (refused["operation"], refused["parameter"]) == ("GetObject", "access_key")
    assert "was there before cannot be read" in refused["found"]

    # Check mode proves what can be proven without writing, a run the rest, and both go on working.
    allow(s3, name, {old: "*", new: "*"})
    assert run(new, check=True)["preflight"]["read_existing"] is True
    for user in (new, old, new):
        assert run(user)["preflight"]["skipped"] == []
        assert run(user)["preflight"]["read_existing"] is True
        assert s3.blocks(objstore, user) == [BLOCK]

    # The compactor's claim is the compactor's, whoever's the credentials are.
    ca, now = s3.ca.read_text(), datetime.now(UTC)
    there = {user: place(objstore, user.access_key, user.secret_key, ca, {}) for user in (old, new)}
    for user in (old, new, old):
        where = there[user]
        assert where is not None
        assert claim(where, COMPACTOR, now).taken_over is None

    # The old ones are taken away when no pod uses them any more.
    s3.delete_user(old)
    assert run(old, fails=True)["code"] == "InvalidAccessKeyId"
    assert run(new)["preflight"]["read_existing"] is True
    assert s3.blocks(objstore, new) == [BLOCK]
    where = there[new]
    assert where is not None
    assert release(where, COMPACTOR) is not None
