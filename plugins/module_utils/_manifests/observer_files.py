# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and scrape configs: the role's files and the operator's in; what is deployed, and all that is wrong, out.

Dashboards and Alertmanager's templates are only looked at by their names here; what is in them is looked at elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._core.names import dns_subdomain, not_known
from ansible_collections.scs.observability.plugins.module_utils._core.yaml_loader import safe_loader
from ansible_collections.scs.observability.plugins.module_utils._manifests import alert_overrides as alert_overrides_of
from ansible_collections.scs.observability.plugins.module_utils._manifests import thanos_rule_files

Manifest = dict[str, Any]

DIRECTORY = "observer_extra_directory"
RULE_FILES = "observer_rule_files"

RULES, RULER_RULES, SCRAPE_CONFIGS = "rules", "ruler_rules", "scrape_configs"
DASHBOARDS, TEMPLATES = "dashboards", "alertmanager_templates"
# The folders that an operator may have, and how names of files in them end
FOLDERS: dict[str, tuple[str, ...]] = {
    RULES: (".yml", ".yaml"),
    RULER_RULES: (".yml", ".yaml"),
    SCRAPE_CONFIGS: (".yml", ".yaml"),
    DASHBOARDS: (".json",),
    TEMPLATES: (".tmpl",),
}

_API_VERSION = "monitoring.coreos.com/v1"
_SCRAPE_API_VERSION = "monitoring.coreos.com/v1alpha1"
_SCRAPE_METADATA = {"name", "labels", "annotations"}


def combine(
    shipped: Mapping[str, str],
    own: Mapping[str, str],
    rule_files: Mapping[str, Any],
    alert_overrides: Mapping[str, Any] | None = None,
    scrape_config_fields: Collection[str] = (),
) -> dict[str, Any]:
    """Return what is deployed, and under ``problems`` all that is wrong, one line each, beginning with the place.

    ``shipped`` are the role's files and ``own`` the operator's, texts by a path like rules/a.yml; ``rule_files`` are
    further ones for the ruler, by name; ``alert_overrides`` is what is to be different of the role's alerts;
    ``scrape_config_fields`` are those that the spec of a ScrapeConfig may have, where they are known. ``rules``
    and ``scrape_configs`` of the result are objects, ``ruler_rules`` are files of rules by name, ``own_rules`` the
    operator's files among ``rules`` by their places, ``dashboards`` and ``alertmanager_templates`` the operator's files
    of those by name. What is wrong is left out.
    """
    misplaced = {path: fault for path in own if (fault := _misplaced(path))}
    problems = [f"{DIRECTORY}/{path}: {fault}" for path, fault in misplaced.items()]
    ours = {path: text for path, text in shipped.items() if _parts(path)[0] in (RULES, RULER_RULES)}
    tuned, wrong_overrides = alert_overrides_of.apply(ours, alert_overrides or {})
    problems += wrong_overrides
    own = {path: text for path, text in own.items() if path not in misplaced}
    of_ruler: dict[str, tuple[str, Any]] = {}
    of_prometheus: dict[str, tuple[str, Any]] = {}
    for place, folder, name, content in (
        *((f"the role's {path}", *_parts(path), text) for path, text in tuned.items()),
        *((f"{DIRECTORY}/{path}", *_parts(path), text) for path, text in own.items()),
        *((f"{RULE_FILES}[{name!r}]", RULER_RULES, str(name), content) for name, content in rule_files.items()),
    ):
        if folder not in (RULES, RULER_RULES):
            continue
        told = [thanos_rule_files.told(fault) for fault in thanos_rule_files.faults(name, content)]
        faults = [f"{place}: {_without(name, text)}" for text in told]
        problems += faults
        # Prometheus gets objects, whose names have fewer characters than those of files.
        known, key = (of_ruler, name) if folder == RULER_RULES else (of_prometheus, slug(name))
        if key in known:
            problems.append(f"{place}: is named as {known[key][0]} is. Give it another name")
        elif not faults:
            known[key] = (place, content)
    scrape_configs = {path: text for path, text in own.items() if _parts(path)[0] == SCRAPE_CONFIGS}
    found, wrong = _scrape_configs(scrape_configs, scrape_config_fields)
    return {
        "problems": problems + wrong,
        "rules": [_prometheus_rule(name, content) for name, (_place, content) in sorted(of_prometheus.items())],
        "own_rules": {
            place: content for place, content in sorted(of_prometheus.values()) if place.startswith(f"{DIRECTORY}/")
        },
        "ruler_rules": {name: content for name, (_place, content) in sorted(of_ruler.items())},
        "scrape_configs": found,
        **{
            wanted: {name: text for path, text in own.items() for folder, name in [_parts(path)] if folder == wanted}
            for wanted in (DASHBOARDS, TEMPLATES)
        },
    }


def slug(name: str) -> str:
    """A file's name as that of an object."""
    stem = re.sub(r"\.ya?ml$", "", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "rules"


def _parts(path: str) -> tuple[str, str]:
    folder, _slash, name = path.partition("/")
    return (folder, name) if name else ("", folder)


def _misplaced(path: str) -> str | None:
    """What is wrong with a file of the operator's being where it is."""
    folder, name = _parts(path)
    if not folder:
        return f"files belong into one of its folders, {', '.join(sorted(FOLDERS))}"
    if folder not in FOLDERS:
        return f"folder {not_known(folder, FOLDERS)}"
    if "/" in name:
        return f"folders inside of {folder} are not read. Move it up"
    if not name.endswith(FOLDERS[folder]):
        return f"is not of {folder}, whose files end with {' or '.join(FOLDERS[folder])}"
    return None


def _without(name: str, text: str) -> str:
    """A fault without the name of its file, which the place has."""
    return text.removeprefix(name).lstrip(",: ")


def _prometheus_rule(name: str, content: Any) -> Manifest:
    parsed = _yaml().load(content, Loader=safe_loader()) if isinstance(content, str) else content
    return {
        "apiVersion": _API_VERSION,
        "kind": "PrometheusRule",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "prometheus"}},
        "spec": {"groups": [_group(group) for group in parsed["groups"]]},
    }


def _group(group: Mapping[str, Any]) -> Manifest:
    """A group as the custom resource has it, which is stricter about types than files are."""
    # What Thanos has beside Prometheus
    result = {key: value for key, value in group.items() if key != "partial_response_strategy"}
    if group.get("labels"):
        result["labels"] = _texts(group["labels"])
    result["rules"] = [_rule(rule) for rule in group.get("rules") or []]
    return result


def _rule(rule: Mapping[str, Any]) -> Manifest:
    result = {**rule, "expr": _text(rule["expr"])}
    for key in ("labels", "annotations"):
        if key in rule:
            result[key] = _texts(rule[key] or {})
    return result


def _texts(values: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scrape_configs(files: Mapping[str, str], fields: Collection[str]) -> tuple[list[Manifest], list[str]]:
    """The objects of all files by their names, and what is wrong."""
    found: dict[str, tuple[str, Manifest]] = {}
    problems = []
    for path, text in files.items():
        name, place = _parts(path)[1], f"{DIRECTORY}/{path}"
        yaml = _yaml()
        try:
            documents = [document for document in yaml.load_all(text, Loader=safe_loader()) if document is not None]
        except yaml.YAMLError as error:
            problems.append(f"{place}: is not YAML: {thanos_rule_files.where(error)}")
            continue
        if not documents:
            problems.append(f"{place}: is empty")
        for number, document in enumerate(documents, 1):
            where = place if len(documents) == 1 else f"{place}, document {number}"
            is_object = isinstance(document, Mapping) and ("kind" in document or "apiVersion" in document)
            wrong = list(_of_object(document, fields) if is_object else _of_spec(document, fields))
            problems += [f"{where}: {fault}" for fault in wrong]
            if wrong:
                continue
            metadata = {"name": slug(name), **(document["metadata"] if is_object else {})}
            if metadata["name"] in found:
                problems.append(f"{where}: is named {metadata['name']}, as is {found[metadata['name']][0]}")
                continue
            spec = document["spec"] if is_object else document
            manifest = {"apiVersion": _SCRAPE_API_VERSION, "kind": "ScrapeConfig", "metadata": metadata, "spec": spec}
            found[metadata["name"]] = (where, manifest)
    return [manifest for _name, (_place, manifest) in sorted(found.items())], problems


def _of_object(document: Mapping[str, Any], fields: Collection[str]) -> Iterator[str]:
    named = (document.get("apiVersion"), document.get("kind"))
    if named != (_SCRAPE_API_VERSION, "ScrapeConfig"):
        yield f"{named[1]} of {named[0]} is not a ScrapeConfig of {_SCRAPE_API_VERSION}"
        return
    unknown = sorted(str(key) for key in document if key not in ("apiVersion", "kind", "metadata", "spec"))
    if unknown:
        yield f"{', '.join(unknown)} is none of apiVersion, kind, metadata, spec"
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        yield "needs metadata with a name"
    else:
        other = sorted(str(key) for key in metadata if key not in _SCRAPE_METADATA)
        if other:
            yield f"metadata: {', '.join(other)} is none of {', '.join(sorted(_SCRAPE_METADATA))}"
        try:
            dns_subdomain(metadata.get("name"), "metadata.name")
        except InputError as error:
            yield str(error)
    yield from _of_spec(document.get("spec"), fields)


def _of_spec(spec: Any, fields: Collection[str]) -> Iterator[str]:
    if not isinstance(spec, Mapping) or not spec:
        yield "needs the spec of a ScrapeConfig, or the whole object"
        return
    snakes = sorted(str(key) for key in spec if "_" in str(key))
    if snakes:
        yield (
            f"{', '.join(snakes)} is in Prometheus' own notation. A ScrapeConfig of the Prometheus Operator has names "
            "like staticConfigs"
        )
    if fields:
        yield from (not_known(key, fields) for key in spec if key not in fields and key not in snakes)


def _yaml() -> Any:
    try:
        import yaml  # noqa: PLC0415 - as elsewhere, so that it can be missing when a module is looked at
    except ImportError:
        raise LibraryError("PyYAML", "to read rules") from None
    return yaml
