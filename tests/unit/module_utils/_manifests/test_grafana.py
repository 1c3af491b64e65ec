# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jmespath
import pytest

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError
from ansible_collections.scs.observability.plugins.module_utils._manifests import grafana
from tests.pki import authority

NOW = datetime(2026, 5, 1, tzinfo=UTC)
URL = "https://grafana.example.org"
SECRET = "swordfish"


def oidc(**changes: Any) -> dict[str, Any]:
    issuer = "https://login.example.org/realms/provider/protocol/openid-connect"
    given = {
        "client_id": "grafana",
        "auth_url": f"{issuer}/auth",
        "token_url": f"{issuer}/token",
        "api_url": f"{issuer}/userinfo",
        "admin_groups": ["sre"],
        **changes,
    }
    return {key: value for key, value in given.items() if value is not None}


def dashboard(**changes: Any) -> str:
    return json.dumps({"title": "Billing", "uid": "billing", "panels": [], **changes})


# Login


def test_people_are_sent_to_the_provider_and_back() -> None:
    found = grafana.environment(oidc(name="Provider"), SECRET, URL, NOW)
    assert found["GF_SERVER_ROOT_URL"] == URL
    assert found["GF_SECURITY_COOKIE_SECURE"] == "true"
    assert found["GF_AUTH_GENERIC_OAUTH_ENABLED"] == "true"
    assert found["GF_AUTH_GENERIC_OAUTH_NAME"] == "Provider"
    assert found["GF_AUTH_GENERIC_OAUTH_TOKEN_URL"] == oidc()["token_url"]
    assert found["GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET"] == "$__file{/etc/grafana/oidc/client-secret}"
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", {}),
        (URL, {"GF_SERVER_ROOT_URL": URL, "GF_SECURITY_COOKIE_SECURE": "true"}),
        ("http://host:3000", {"GF_SERVER_ROOT_URL": "http://host:3000", "GF_SECURITY_COOKIE_SECURE": "false"}),
    ],
)
def test_without_a_provider_there_is_only_the_url(url: str, expected: dict[str, str]) -> None:
    assert grafana.environment({}, "", url, NOW) == expected


TEAMS = {"admin_groups": ["sre", "on call"], "editor_groups": ["dev"]}


@pytest.mark.parametrize(
    ("given", "claims", "role"),
    [
        (TEAMS, {"groups": ["dev", "sre"]}, "Admin"),
        (TEAMS, {"groups": ["on call"]}, "Admin"),
        (TEAMS, {"groups": ["dev"]}, "Editor"),
        ({**TEAMS, "viewer_groups": ["*"]}, {"groups": ["other"]}, "Viewer"),
        ({**TEAMS, "viewer_groups": ["*"]}, {"groups": ["dev"]}, "Editor"),
        ({**TEAMS, "viewer_groups": ["*"]}, {}, "Viewer"),
        ({**TEAMS, "viewer_groups": ["staff"]}, {"groups": ["staff"]}, "Viewer"),
        ({**TEAMS, "viewer_groups": ["staff"]}, {"groups": ["sre"]}, "Admin"),
        # Not let in
        (TEAMS, {"groups": ["other"]}, False),
        (TEAMS, {"groups": []}, False),
        (TEAMS, {}, False),
        ({**TEAMS, "viewer_groups": ["staff"]}, {"groups": ["other"]}, False),
        ({**TEAMS, "viewer_groups": ["staff"]}, {}, False),
        ({**TEAMS, "groups_claim": "realm_access.roles"}, {"realm_access": {"roles": ["dev"]}}, "Editor"),
        ({**TEAMS, "groups_claim": "realm_access.roles"}, {"groups": ["dev"]}, False),
    ],
)
def test_groups_become_a_role(given: dict[str, Any], claims: dict[str, Any], role: Any) -> None:
    found = grafana.environment(oidc(**given), SECRET, URL, NOW)
    assert jmespath.search(found["GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_PATH"], claims) == role
    assert found["GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_STRICT"] == str(given.get("viewer_groups") != ["*"]).lower()


EXPIRED = authority("provider", start=NOW - timedelta(days=2), end=NOW - timedelta(days=1)).pem

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"client_id": None}, "client_id", "required"),
    ({"client_id": 5}, "client_id", "must be a text"),
    ({"auth_url": ""}, "auth_url", "required"),
    ({"auth_url": "login.example.org"}, "auth_url", "not a URL"),
    ({"auth_url": "https://login.example.org:99999/"}, "auth_url", "not a URL"),
    ({"token_url": "http://login.example.org/token"}, "token_url", "must begin with https://"),
    ({"api_url": f"https://me:{SECRET}@login.example.org/"}, "api_url", "credentials"),
    ({"admin_group": ["sre"]}, "admin_group", "did you mean admin_groups?"),
    ({"client_secret": SECRET}, "client_secret", "not known"),
    ({"admin_groups": "sre"}, "admin_groups", "list of texts"),
    ({"editor_groups": [5]}, "editor_groups", "list of texts"),
    ({"viewer_groups": ["it's"]}, "viewer_groups", "quotes"),
    ({"editor_groups": ["*"]}, "editor_groups", "must not be everybody"),
    ({"admin_groups": []}, "viewer_groups", "everybody whom the provider knows"),
    ({"groups_claim": "https://example.org/groups"}, "groups_claim", "must be a name"),
    ({"scopes": ["openid"]}, "scopes", "must be a text"),
    ({"ca": "nothing"}, "ca", "no PEM certificate"),
    ({"ca": EXPIRED}, "ca", "expired"),
]


@pytest.mark.parametrize(("changes", "key", "text"), REFUSED, ids=[f"{key}: {text}" for _changes, key, text in REFUSED])
def test_what_cannot_work_is_refused_by_its_key(changes: dict[str, Any], key: str, text: str) -> None:
    (problem,) = grafana.login_problems(oidc(**changes), SECRET, URL, NOW)
    assert problem.startswith(f"observer_grafana_oidc.{key}: ")
    assert text in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        (({}, SECRET, ""), ["observer_grafana_oidc_client_secret"]),
        ((oidc(), SECRET, ""), ["observer_grafana_url"]),
        ((oidc(), "", URL), ["observer_grafana_oidc_client_secret"]),
        (({}, "", "grafana.example.org"), ["observer_grafana_url"]),
        (({}, "", f"https://me:{SECRET}@host"), ["observer_grafana_url"]),
        ((["x"], "", ""), ["observer_grafana_oidc"]),
        (
            ({"scopes": 1}, "", "ftp://host"),
            [
                "observer_grafana_url",
                "observer_grafana_oidc_client_secret",
                *(
                    f"observer_grafana_oidc.{key}"
                    for key in ("client_id", "auth_url", "token_url", "api_url", "scopes", "viewer_groups")
                ),
            ],
        ),
    ],
)
def test_all_problems_of_a_login_are_said_at_once(given: tuple[Any, str, str], variables: list[str]) -> None:
    problems = grafana.login_problems(*given, NOW)
    assert [problem.partition(": ")[0] for problem in problems] == variables
    assert SECRET not in str(problems)
    with pytest.raises(InputError) as caught:
        grafana.environment(*given, NOW)
    assert str(caught.value).splitlines()[1:] == problems


# Dashboards


def test_a_dashboard_is_a_config_map_in_its_folder() -> None:
    text = dashboard()
    found = grafana.dashboards({"observer.json": "{}"}, {"My Billing (2).JSON": text})
    assert [
        (item["metadata"]["name"], item["metadata"]["labels"][grafana.FOLDER_LABEL], item["data"]) for item in found
    ] == [
        ("grafana-dashboard-scs-observer", "scs", {"observer.json": "{}"}),
        ("grafana-dashboard-own-my-billing-2", "own", {"my-billing-2.json": text}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "not a dashboard"),
        (dashboard(title=None), "needs a title"),
        (dashboard(uid=""), "needs a uid"),
        (dashboard(uid="scs-observer"), "begins with scs-"),
        (dashboard(__inputs=[{"name": "DS_PROMETHEUS"}]), "exported for sharing"),
        (dashboard(text="x" * 1_100_000), "more than the 1024000 that a ConfigMap holds"),
    ],
)
def test_a_dashboard_that_would_not_be_shown_is_refused_by_its_file(text: str, said: str) -> None:
    (problem,) = grafana.dashboard_problems({"a.json": text, "b.json": dashboard(uid="b")})
    assert problem.startswith("observer_extra_directory/dashboards/a.json: ")
    assert said in problem
    with pytest.raises(InputError, match=r"a\.json"):
        grafana.dashboards({}, {"a.json": text})


def test_dashboards_do_not_replace_one_another() -> None:
    files = {"a b.json": dashboard(), "a-b.json": dashboard(uid="other"), "c.json": dashboard()}
    problems = grafana.dashboard_problems(files)
    assert [problem.partition(": ")[0].rpartition("/")[2] for problem in problems] == ["a-b.json", "c.json"]
    assert "a b.json" in problems[0]
    assert "uid, billing, is that of a b.json" in problems[1]
