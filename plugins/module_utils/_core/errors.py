# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed errors. Everything below a module's C(main()) raises these; only outcome.run turns them into a failed task."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")


class ObservabilityError(Exception):
    """What went wrong, which parameter it is about, and what an operator can do about it.

    ``details`` become keys of the module's result. They must be serialisable and free of secrets, like the message.
    """

    def __init__(
        self,
        message: str,
        *,
        parameter: str | None = None,
        advice: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.parameter = parameter
        self.advice = advice
        self.details: dict[str, object] = dict(details or {})

    def __str__(self) -> str:
        text = f"{self.parameter}: {self.message}" if self.parameter else self.message
        if self.advice:
            text = f"{text.rstrip('.')}. {self.advice}"
        return text

    def result(self) -> dict[str, Any]:
        """Return the arguments for fail_json: msg, error (the class in snake case), parameter if known, details."""
        result: dict[str, Any] = dict(self.details)
        if self.parameter:
            result["parameter"] = self.parameter
        kind = InputError if isinstance(self, InputErrors) else type(self)
        result["error"] = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
        result["msg"] = str(self)
        return result


class InputError(ObservabilityError):
    """A parameter that is refused before anything is touched."""

    def __init__(
        self,
        message: str,
        *,
        parameter: str,
        advice: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, parameter=parameter, advice=advice, details=details)


class InputErrors(InputError):
    """Several of them at once, one a line; ``parameter`` is that of the first."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        self.errors = tuple(errors)
        texts = [str(error) for error in errors]
        super().__init__("\n".join(texts), parameter=str(errors[0].parameter), details={"problems": texts})

    def __str__(self) -> str:
        return self.message


class Problems:
    """What is wrong with parameters that are looked at one after the other, to be told together."""

    def __init__(self) -> None:
        self.found: list[InputError] = []

    def of(self, read: Callable[..., T], *arguments: Any) -> T:
        """Return what ``read(*arguments)`` does. When it raises InputErrors these are kept, and nothing is returned
        that may be used before ``refuse`` has let it pass.
        """
        try:
            return read(*arguments)
        except InputErrors as error:
            self.found += error.errors
        except InputError as error:
            self.found.append(error)
        return cast("T", None)

    def refuse(self) -> None:
        """Raise what was found: the one InputError, or all as InputErrors."""
        if len(self.found) > 1:
            raise InputErrors(self.found)
        if self.found:
            raise self.found[0]


class LibraryError(ObservabilityError):
    """A Python library that this run needs is not installed where the module runs."""

    def __init__(self, library: str, purpose: str) -> None:
        super().__init__(
            f"the Python library {library} is needed {purpose}",
            advice=f"Install it for the interpreter that runs this: {sys.executable} -m pip install {library}. In a "
            "container, such as OSISM's, it lasts as long as that: build it into the image",
            details={"library": library},
        )


class ApiError(ObservabilityError):
    """A request that the Kubernetes API did not fulfil.

    ``verb`` is the verb of Kubernetes' access control (get, list, create, patch, update, delete), ``resource`` reads
    "statefulsets.apps namespace/name", ``status`` is the HTTP status or None when there was no answer, ``causes`` are
    the API's own short names for what is wrong.
    """

    def __init__(
        self,
        host: str,
        verb: str,
        resource: str,
        status: int | None,
        reason: str,
        *,
        causes: Sequence[str] = (),
        parameter: str | None = None,
        advice: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        answer = f" ({status})" if status is not None else ""
        super().__init__(
            f"{host} did not {verb} {resource}{answer}: {reason}",
            parameter=parameter,
            advice=advice,
            details={"host": host, "verb": verb, "resource": resource, "status": status, **(details or {})},
        )
        self.host = host
        self.verb = verb
        self.resource = resource
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)


class AlreadyExists(ApiError):
    """An object that was to be created is there already."""


class ImmutableError(ApiError):
    """The API server refuses an update because it touches a field that cannot be changed in place."""


@dataclass(frozen=True)
class FieldConflict:
    """A field that we want to have another value than the manager that owns it gave it."""

    resource: str
    manager: str
    field: str

    def __str__(self) -> str:
        return f"{self.field} of {self.resource} is owned by {self.manager}"


class ConflictError(ObservabilityError):
    """Fields that differ from what we want are owned by other managers (server-side apply)."""

    def __init__(self, conflicts: Sequence[FieldConflict], *, advice: str | None = None) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__(
            "; ".join(str(conflict) for conflict in self.conflicts),
            advice=advice or "Leave the field to that manager, or take it over with force: true",
            details={
                "conflicts": [
                    {"resource": conflict.resource, "manager": conflict.manager, "field": conflict.field}
                    for conflict in self.conflicts
                ]
            },
        )


class IncompatibleError(ObservabilityError):
    """What others have made cannot be used, and must not be touched either."""


class NotReadyError(ObservabilityError):
    """Something did not become ready, or cannot any more; the message says which pod, why, and its last log lines."""


class StorageError(ObservabilityError):
    """An S3 request that failed: its error code, operation and bucket."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        operation: str,
        bucket: str,
        parameter: str | None = None,
        advice: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(
            message,
            parameter=parameter,
            advice=advice,
            details={"code": code, "operation": operation, "bucket": bucket, **(details or {})},
        )
        self.code = code
        self.operation = operation
        self.bucket = bucket


class CloudError(ObservabilityError):
    """What an OpenStack cloud refuses, does not answer, or does not have."""


class ProofError(ObservabilityError):
    """No fresh sample came through from the cluster to the query path; ``link`` is what of the way is broken."""

    def __init__(
        self,
        message: str,
        *,
        link: str = "unknown",
        advice: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, advice=advice, details={"link": link, **(details or {})})
        self.link = link
