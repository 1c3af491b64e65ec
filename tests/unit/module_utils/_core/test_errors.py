# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import (
    AlreadyExists,
    ApiError,
    ConflictError,
    FieldConflict,
    ImmutableError,
    InputError,
    InputErrors,
    LibraryError,
    NotReadyError,
    ObservabilityError,
    Problems,
    ProofError,
    StorageError,
)


def test_the_message_has_parameter_problem_and_advice() -> None:
    error = InputError("'A_b' is not a DNS label.", parameter="name", advice="Use a-z, 0-9 and '-'")
    assert error.result() == {
        "msg": "name: 'A_b' is not a DNS label. Use a-z, 0-9 and '-'",
        "parameter": "name",
        "error": "input_error",
    }


def test_without_parameter_and_advice_there_is_only_the_problem() -> None:
    assert NotReadyError("no pod").result() == {"msg": "no pod", "error": "not_ready_error"}


def test_a_proof_that_fails_names_the_link() -> None:
    assert ProofError("no sample", link="dns").result() == {"msg": "no sample", "error": "proof_error", "link": "dns"}


def test_details_are_part_of_the_result_and_cannot_replace_the_message() -> None:
    result = NotReadyError("a\nb", details={"not_ready": ["x"], "msg": "other"}).result()
    assert result == {"msg": "a\nb", "error": "not_ready_error", "not_ready": ["x"]}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ApiError("https://h:6443", "get", "secrets ns/x", 403, "no"), "api_error"),
        (AlreadyExists("https://h:6443", "create", "secrets ns/x", 409, "there"), "already_exists"),
        (ImmutableError("https://h:6443", "patch", "jobs.batch ns/x", 422, "no"), "immutable_error"),
        (ConflictError([FieldConflict("deployments.apps ns/x", "kubectl-edit", ".spec.replicas")]), "conflict_error"),
        (StorageError("no", code="AccessDenied", operation="PutObject", bucket="thanos"), "storage_error"),
        (LibraryError("boto3", "to reach an S3 server"), "library_error"),
    ],
)
def test_every_error_can_be_returned_by_a_module(error: ObservabilityError, name: str) -> None:
    result = error.result()
    assert result["error"] == name
    assert json.loads(json.dumps(result)) == result


def test_an_api_error_names_host_verb_resource_and_status() -> None:
    error = ApiError("https://h:6443", "list", "secrets in namespace ns", None, "it cannot be reached: timed out")
    assert str(error) == "https://h:6443 did not list secrets in namespace ns: it cannot be reached: timed out"
    assert str(ApiError("https://h", "get", "nodes a", 500, "oops")) == "https://h did not get nodes a (500): oops"
    assert error.result()["host"] == "https://h:6443"


def test_a_conflict_names_every_field_and_its_manager() -> None:
    error = ConflictError(
        [
            FieldConflict("deployments.apps ns/a", "kubectl-edit", ".spec.replicas"),
            FieldConflict("configmaps ns/b", "helm", ".data.x"),
        ]
    )
    assert str(error) == (
        ".spec.replicas of deployments.apps ns/a is owned by kubectl-edit; "
        ".data.x of configmaps ns/b is owned by helm. "
        "Leave the field to that manager, or take it over with force: true"
    )
    assert error.result()["conflicts"][1] == {"resource": "configmaps ns/b", "manager": "helm", "field": ".data.x"}


def fail(*errors: InputError) -> None:
    raise InputErrors(errors) if len(errors) > 1 else errors[0]


def test_problems_are_told_together_each_with_its_parameter() -> None:
    one, two, three = (InputError(f"is {name}", parameter=name) for name in ("one", "two", "three"))
    problems = Problems()
    assert problems.of(str, 7) == "7"
    problems.refuse()
    problems.of(fail, one)
    problems.of(fail, two, three)
    with pytest.raises(InputErrors) as raised:
        problems.refuse()
    texts = ["one: is one", "two: is two", "three: is three"]
    assert raised.value.result() == {
        "msg": "\n".join(texts),
        "problems": texts,
        "parameter": "one",
        "error": "input_error",
    }


def test_a_single_problem_is_told_as_it_is() -> None:
    only = InputError("is wrong", parameter="name")
    problems = Problems()
    problems.of(fail, only)
    with pytest.raises(InputError) as raised:
        problems.refuse()
    assert raised.value is only


def test_other_errors_are_not_kept_back() -> None:
    def lost() -> None:
        raise ProofError("no sample")

    with pytest.raises(ProofError):
        Problems().of(lost)
