# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registration of an IaaS Prometheus: between the custom resource and what the rest of the code works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import iaas_prometheus, workload
from ansible_collections.scs.observability.plugins.module_utils._manifests.thanos_component import ExternalEndpoint
from ansible_collections.scs.observability.plugins.module_utils._registration.record import (
    Certificate,
    PreviousCertificate,
)

Manifest = dict[str, Any]


@dataclass(frozen=True)
class PathProof:
    """What was found of one path: ``state`` is "proven" or "pending", ``message`` what is to be said of it."""

    state: str
    message: str = ""

    def status(self) -> Manifest:
        """As it is kept in the object."""
        message = self.message[: iaas_prometheus.LONGEST_MESSAGE]
        return {"state": self.state, **({"message": message} if message else {})}


@dataclass(frozen=True)
class Proof:
    """The last time samples were read back: when ("2026-02-01T10:00:00Z"), and what was found by path."""

    time: str
    paths: Mapping[str, PathProof] = field(default_factory=dict)


@dataclass(frozen=True)
class IaasRegistration:
    """An IaaSPrometheus. ``certificate`` and ``previous_certificate`` are those that it writes with; ``uid`` is empty
    while it is only wanted.
    """

    name: str
    region: str
    observer: str = ""  # namespace of the observer
    pull_address: str = ""
    upload: bool = False
    remote_write: bool = False
    sidecar: Certificate | None = None
    certificate: Certificate | None = None
    previous_certificate: PreviousCertificate | None = None
    proof: Proof | None = None
    uid: str = ""
    # As the gateway asks it of every registration: it comes and goes at once, and is not turned away for a while.
    phase: str = "active"
    suspended: bool = False

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> IaasRegistration:
        """Read a live object; what is missing in it is left at its default."""
        metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
        certificates, proof = status.get("certificates") or {}, status.get("proof")
        previous = certificates.get("previousRemoteWrite")
        return cls(
            name=metadata["name"],
            region=spec.get("region", ""),
            observer=(metadata.get("labels") or {}).get(iaas_prometheus.OBSERVER_LABEL, ""),
            pull_address=(spec.get("pull") or {}).get("address", ""),
            upload=bool(spec.get("upload")),
            remote_write=bool(spec.get("remoteWrite")),
            sidecar=_certificate(certificates.get("sidecar")),
            certificate=_certificate(certificates.get("remoteWrite")),
            previous_certificate=PreviousCertificate(previous["fingerprint"], previous["replaced"])
            if previous
            else None,
            proof=Proof(
                proof["time"],
                {
                    path: PathProof(proof[key]["state"], proof[key].get("message", ""))
                    for path, key in iaas_prometheus.PATHS.items()
                    if key in proof
                },
            )
            if proof
            else None,
            uid=metadata.get("uid", ""),
        )

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all its objects."""
        return workload.labels(
            name="iaas-prometheus", instance=iaas_prometheus.instance(self.name), component="registration"
        )

    @property
    def endpoint(self) -> ExternalEndpoint | None:
        """What query asks, if it is pulled."""
        if not self.pull_address:
            return None
        return ExternalEndpoint(self.pull_address, iaas_prometheus.server_name(self.name, self.observer))

    @property
    def has_sidecar(self) -> bool:
        """One that only uploads listens as well, and lets in just those who may ask."""
        return bool(self.pull_address) or self.upload

    @property
    def series(self) -> dict[str, str]:
        """External labels by which its series are known on every path."""
        return {"layer": iaas_prometheus.LAYER, "region": self.region}

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths by which its metrics come, "pull", "upload" and "remote_write"."""
        there = (bool(self.pull_address), self.upload, self.remote_write)
        return tuple(path for path, is_there in zip(iaas_prometheus.PATHS, there, strict=True) if is_there)

    def has_proven(self, path: str) -> bool:
        """Whether it was read back by that path before."""
        found = self.proof.paths.get(path) if self.proof else None
        return found is not None and found.state == "proven"

    def manifest(self) -> Manifest:
        """The object as it is applied, without status."""
        endpoint = self.endpoint
        spec = {
            "region": self.region,
            **({"pull": {"address": endpoint.address, "serverName": endpoint.server_name}} if endpoint else {}),
            **({"upload": True} if self.upload else {}),
            **({"remoteWrite": True} if self.remote_write else {}),
        }
        return {
            "apiVersion": iaas_prometheus.API_VERSION,
            "kind": iaas_prometheus.KIND,
            "metadata": workload.metadata(
                self.name, "", {**self.labels, iaas_prometheus.OBSERVER_LABEL: self.observer}
            ),
            "spec": spec,
        }

    def certificates(self) -> Manifest:
        """Of the status, which certificates are in use: what changes in it is a change."""
        found: Manifest = {}
        for name, certificate in (("sidecar", self.sidecar), ("remoteWrite", self.certificate)):
            if certificate:
                found[name] = {"fingerprint": certificate.fingerprint, "expires": certificate.expires}
        if self.previous_certificate:
            found["previousRemoteWrite"] = {
                "fingerprint": self.previous_certificate.fingerprint,
                "replaced": self.previous_certificate.replaced,
            }
        return found

    def status_manifest(self) -> Manifest:
        """The object as its status is applied: whole, because what one manager applies without, it removes."""
        certificates = self.certificates()
        status: Manifest = {"certificates": certificates} if certificates else {}
        if self.proof:
            status["proof"] = {
                "time": self.proof.time,
                **{
                    iaas_prometheus.PATHS[path]: {
                        "state": found.state,
                        **({"message": found.message} if found.message else {}),
                    }
                    for path, found in self.proof.paths.items()
                },
            }
        return {
            "apiVersion": iaas_prometheus.API_VERSION,
            "kind": iaas_prometheus.KIND,
            "metadata": {"name": self.name},
            "status": status,
        }


class Lister(Protocol):
    """The part of the Kubernetes client that is needed here."""

    def list(
        self, api_version: str, kind: str, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> list[dict[str, Any]]: ...


def registered(client: Lister) -> list[IaasRegistration]:
    """All registrations in the observer's cluster, of each observer there; none without their definition.

    Raises ApiError.
    """
    return [IaasRegistration.of(item) for item in client.list(iaas_prometheus.API_VERSION, iaas_prometheus.KIND)]


def registered_with(client: Lister, namespace: str) -> list[IaasRegistration]:
    """Those of the observer in ``namespace``. Raises ApiError."""
    return [registration for registration in registered(client) if registration.observer == namespace]


def endpoints_of(client: Lister, namespace: str) -> list[ExternalEndpoint]:
    """What query of that observer asks because of registrations. Raises ApiError."""
    return [item.endpoint for item in registered_with(client, namespace) if item.endpoint]


def refuse_taken(wanted: IaasRegistration, every: Iterable[IaasRegistration]) -> IaasRegistration | None:
    """Return the registration of that name, if any. Raises InputError when its name or address is another one's."""
    before = None
    for other in every:
        if other.name == wanted.name:
            before = other
        elif wanted.pull_address and (other.pull_address, other.observer) == (wanted.pull_address, wanted.observer):
            raise InputError(
                f"{wanted.pull_address} is that of {other.name!r}, which is registered already",
                parameter="pull_address",
                advice=f"Use that name, or remove the registration {other.name!r} first (state: absent)",
            )
    if before is not None:
        refuse_other_observer(before, wanted.observer)
    return before


def refuse_other_observer(registration: IaasRegistration, namespace: str) -> None:
    """Observers that share a cluster share the kind of registrations, not the registrations."""
    if registration.observer != namespace:
        raise InputError(
            f"{registration.name!r} is registered with the observer in the namespace {registration.observer!r}",
            parameter="namespace",
            advice=f"Use {registration.observer!r}, or another name",
            details={"registered_with": registration.observer},
        )


def _certificate(found: Mapping[str, Any] | None) -> Certificate | None:
    return Certificate(found["fingerprint"], found["expires"]) if found else None
