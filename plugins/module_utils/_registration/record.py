# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registration of a KaaS cluster: between the custom resource and what the rest of the code works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import kaas_cluster, workload

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Certificate:
    """What of an agent's client certificate is recorded; ``expires`` is like "2026-02-01T10:00:00Z"."""

    fingerprint: str
    expires: str


@dataclass(frozen=True)
class Proof:
    """The last time samples were read back: when ("2026-02-01T10:00:00Z"), after how many seconds, and what came."""

    time: str
    seconds: float
    series: int
    missing_jobs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreviousCertificate:
    """The certificate before, which is let in too: ``replaced`` is when, like "2026-02-01T10:00:00Z"."""

    fingerprint: str
    replaced: str


@dataclass(frozen=True)
class Failure:
    """The last run, when it failed: when ("2026-02-01T10:00:00Z"), at which link of the way, and what was said."""

    time: str
    link: str
    message: str


# Names of the module's parameters and of the resource's fields, where they differ
_FIELDS = {"scrape_interval": "scrapeInterval", "extra_jobs": "extraJobs", "extra_series": "extraSeries"}
_PARAMETERS = {name: parameter for parameter, name in _FIELDS.items()}


@dataclass(frozen=True)
class Registration:
    """A KaaSCluster. ``since`` is the time of its creation; ``uid`` and ``version`` (resourceVersion) tell which state
    of which object was read. All three are empty while it is only wanted.

    ``overrides`` are called as the module's parameters; ``profile``, ``scrape_interval`` and ``jobs`` are what results
    with them. ``phase_since`` is when the phase changed last.
    """

    name: str
    cluster_uid: str
    phase: str
    observer: str = ""  # namespace of the observer
    namespace: str = ""  # of the agent
    customer: str = ""
    sla: str = ""
    contact: str = ""
    profile: str = "minimal"
    scrape_interval: str = "30s"
    jobs: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    suspended: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    since: str = ""
    certificate: Certificate | None = None
    previous_certificate: PreviousCertificate | None = None
    proof: Proof | None = None
    phase_since: str = ""
    failure: Failure | None = None
    control_plane: str = ""
    uid: str = ""
    version: str = ""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Registration:
        """Read a live object; what is missing in it is left at its default."""
        metadata, spec = manifest["metadata"], manifest.get("spec") or {}
        collection = spec.get("collection") or {}
        status = manifest.get("status") or {}
        certificate, previous = status.get("certificate"), status.get("previousCertificate")
        proof, failure = status.get("proof"), status.get("failure")
        return cls(
            name=metadata["name"],
            cluster_uid=spec.get("clusterUID", ""),
            phase=spec.get("phase", ""),
            observer=(metadata.get("labels") or {}).get(kaas_cluster.OBSERVER_LABEL, ""),
            namespace=spec.get("namespace", ""),
            customer=spec.get("customer", ""),
            sla=spec.get("sla", ""),
            contact=spec.get("contact", ""),
            profile=collection.get("profile", "minimal"),
            scrape_interval=collection.get("scrapeInterval", "30s"),
            jobs=tuple(collection.get("jobs") or ()),
            labels=spec.get("labels") or {},
            suspended=bool(spec.get("suspended")),
            overrides={_PARAMETERS.get(name, name): value for name, value in (spec.get("overrides") or {}).items()},
            since=metadata.get("creationTimestamp", ""),
            certificate=Certificate(certificate["fingerprint"], certificate["expires"]) if certificate else None,
            previous_certificate=PreviousCertificate(previous["fingerprint"], previous["replaced"])
            if previous
            else None,
            proof=Proof(
                proof["time"],
                float(proof.get("seconds", 0)),
                int(proof.get("series", 0)),
                tuple(proof.get("missingJobs") or ()),
            )
            if proof
            else None,
            phase_since=status.get("phaseSince", ""),
            failure=Failure(failure["time"], failure["link"], failure["message"]) if failure else None,
            control_plane=status.get("controlPlane", ""),
            uid=metadata.get("uid", ""),
            version=metadata.get("resourceVersion", ""),
        )

    def manifest(self) -> Manifest:
        """The object as it is applied, without status."""
        given = {
            "namespace": self.namespace,
            "customer": self.customer,
            "sla": self.sla,
            "contact": self.contact,
            "labels": dict(self.labels),
            "suspended": self.suspended,
            "overrides": {_FIELDS.get(name, name): value for name, value in self.overrides.items()},
        }
        return {
            "apiVersion": kaas_cluster.API_VERSION,
            "kind": kaas_cluster.KIND,
            "metadata": workload.metadata(
                self.name,
                "",
                {
                    **workload.labels(name="kaas-cluster", instance=self.name, component="registration"),
                    **({kaas_cluster.OBSERVER_LABEL: self.observer} if self.observer else {}),
                },
            ),
            "spec": {
                "phase": self.phase,
                "clusterUID": self.cluster_uid,
                **{name: value for name, value in given.items() if value},
                "collection": {
                    "profile": self.profile,
                    "scrapeInterval": self.scrape_interval,
                    "jobs": list(self.jobs),
                },
            },
        }

    def conditional_manifest(self) -> Manifest:
        """The same, for the API server to refuse (409) when somebody wrote or removed the object since it was read.

        By the version alone it would make one that is gone anew.
        """
        manifest = self.manifest()
        manifest["metadata"].update(self._seen)
        return manifest

    @property
    def _seen(self) -> Manifest:
        return {"uid": self.uid, "resourceVersion": self.version} if self.version else {}

    @property
    def certificates(self) -> tuple[Certificate | None, PreviousCertificate | None]:
        """Who is let in."""
        return self.certificate, self.previous_certificate

    def status(self) -> Manifest:
        """The status as it is kept in the object."""
        status: Manifest = {}
        if self.certificate:
            status["certificate"] = {
                "fingerprint": self.certificate.fingerprint,
                "expires": self.certificate.expires,
            }
        if self.previous_certificate:
            status["previousCertificate"] = {
                "fingerprint": self.previous_certificate.fingerprint,
                "replaced": self.previous_certificate.replaced,
            }
        if self.proof:
            status["proof"] = {
                "time": self.proof.time,
                "seconds": self.proof.seconds,
                "series": self.proof.series,
                "missingJobs": list(self.proof.missing_jobs),
            }
        if self.failure:
            status["failure"] = {
                "time": self.failure.time,
                "link": self.failure.link,
                "message": self.failure.message,
            }
        if self.phase_since:
            status["phaseSince"] = self.phase_since
        if self.control_plane:
            status["controlPlane"] = self.control_plane
        return status

    def status_manifest(self) -> Manifest:
        """The object as its status is applied: whole, because what one manager applies without, it removes.

        Refused (409) by the API server as the conditional manifest is.
        """
        return {
            "apiVersion": kaas_cluster.API_VERSION,
            "kind": kaas_cluster.KIND,
            "metadata": {"name": self.name, **self._seen},
            "status": self.status(),
        }

    def in_phase(self, phase: str) -> Registration:
        """The same in another phase."""
        return replace(self, phase=phase)

    def after(self, before: Registration | None, now: datetime) -> Registration:
        """The same with the time since when it is in its phase; ``before`` is what was registered.

        A registration of a release that did not tell is in provisioning since it was made, and else since now.
        """
        if before is None or before.phase != self.phase:
            since = timestamp(now)
        else:
            made = before.since if before.phase == "provisioning" else ""
            since = before.phase_since or made or timestamp(now)
        return replace(self, phase_since=since)


def next_phase(observed: str | None, wanted: str | None, *, proven: bool) -> str:
    """The phase a registration ends in. Raises InputError for a transition that is not legal.

    ``observed`` is None for a new registration, ``wanted`` when the operator leaves it to us: then what is registered
    stays, and a cluster that is being provisioned becomes active once its samples are proven.
    """
    start = observed or "provisioning"
    if start == "deleting":
        raise InputError(
            "the registration is being deleted, which cannot be taken back",
            parameter="name",
            advice="Finish it with state: absent, then register the cluster anew",
        )
    if wanted is None:
        return "active" if start == "provisioning" and proven else start
    if wanted != start and wanted not in kaas_cluster.TRANSITIONS[start]:
        # To "deleting" leads state: absent.
        legal = [phase for phase in (start, *kaas_cluster.TRANSITIONS[start]) if phase != "deleting"]
        whose = f"a cluster that is {start}" if observed else "a new registration"
        raise InputError(f"{whose} cannot become {wanted}", parameter="phase", advice=f"Legal now: {', '.join(legal)}")
    return wanted


def refuse_other_cluster(name: str, cluster_uid: str, registered: Iterable[Registration]) -> Registration | None:
    """Return the registration of that name, if any. Raises InputError when name or cluster are taken otherwise."""
    same_name = None
    for registration in registered:
        if registration.name == name:
            same_name = registration
        elif registration.cluster_uid == cluster_uid:
            raise InputError(
                f"the cluster with UID {cluster_uid} is already registered as {registration.name!r}",
                parameter="name",
                advice=f"Use that name, or remove the registration {registration.name!r} first (state: absent)",
                details={"cluster_uid": cluster_uid, "registered_as": registration.name},
            )
    if same_name is not None and same_name.cluster_uid != cluster_uid:
        raise InputError(
            f"{name!r} is registered for the cluster with UID {same_name.cluster_uid}, "
            f"but the kubeconfig leads to the cluster with UID {cluster_uid}",
            parameter="name",
            advice="Check the kubeconfig and its context, choose another name, "
            "or remove the registration of the former cluster first (state: absent)",
            details={"registered_uid": same_name.cluster_uid, "cluster_uid": cluster_uid},
        )
    return same_name


def refuse_own_cluster(cluster_uid: str, observer_uid: str) -> None:
    """An observer looks after its own cluster itself: an agent there would send all of it once more."""
    if cluster_uid == observer_uid:
        raise InputError(
            "leads to the cluster of the observer itself, which its own Prometheus observes",
            parameter="kubeconfig",
            advice="Check the kubeconfig and its context",
            details={"cluster_uid": cluster_uid},
        )


def refuse_other_observer(registration: Registration | None, observer_namespace: str) -> None:
    """Observers that share a cluster share the kind of registrations, not the registrations."""
    if registration is not None and registration.observer not in ("", observer_namespace):
        raise InputError(
            f"{registration.name!r} is registered with the observer in the namespace {registration.observer!r}",
            parameter="observer_namespace",
            advice=f"Use {registration.observer!r}; to move the cluster, take it off board there first (state: absent)",
            details={"registered_with": registration.observer},
        )


def timestamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it, like "2026-02-01T10:00:00Z"."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
