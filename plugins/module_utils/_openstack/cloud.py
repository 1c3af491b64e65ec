# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login at an OpenStack cloud: its catalog, and the user's EC2 credentials.

The only place that knows openstacksdk. Importing it takes longer than the rest of a module run, so that happens when a
login is made: wrong parameters are refused without it.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from ansible_collections.scs.observability.plugins.module_utils._core.errors import InputError, LibraryError
from ansible_collections.scs.observability.plugins.module_utils._identity.trust import authority_file
from ansible_collections.scs.observability.plugins.module_utils._openstack import errors
from ansible_collections.scs.observability.plugins.module_utils._openstack.credentials import Credential
from ansible_collections.scs.observability.plugins.module_utils._openstack.login import Login, incomplete

TIMEOUT = 30
_PURPOSE = "to log in to OpenStack (cloud, auth)"
_ADVICE = (
    "Give auth_url, username, password, project_name and the domains of both, or what auth_type takes in their place"
)


class Cloud:
    """A login. A context manager; every method raises CloudError. InputError or LibraryError when it is made."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._files = ExitStack()
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cloud:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file that the authority's certificate was written to."""
        self._files.close()

    @property
    def project(self) -> str:
        """Id of the project that the login is for; empty where it is for none."""
        return str(self._access.project_id or "")

    @property
    def keystone(self) -> str:
        """Its URL, for errors."""
        return self._keystone

    @property
    def interface(self) -> str:
        """Which of a service's endpoints are meant: public, internal or admin."""
        return self._interface

    @property
    def region_name(self) -> str | None:
        """The region, if one is said."""
        return self._region_name

    def catalog(self) -> Sequence[Mapping[str, Any]]:
        """The services that the project has: ``type``, ``name`` and ``endpoints``, as Keystone has them."""
        return list(self._access.service_catalog.catalog) if self._access.has_service_catalog() else []

    def credentials(self) -> list[Credential]:
        """The user's EC2 credentials for the project, by access key. Those of trusts are not the user's alone."""
        found = self._identity("list the user's EC2 credentials", "GET").get("credentials", [])
        mine = [item for item in found if item.get("tenant_id") == self.project and not item.get("trust_id")]
        return sorted((_credential(item) for item in mine), key=lambda credential: credential.access_key)

    def create_credential(self) -> Credential:
        """Have Keystone make one for the project."""
        wanted = "create an EC2 credential"
        return _credential(self._identity(wanted, "POST", json={"tenant_id": self.project})["credential"])

    def delete_credential(self, access_key: str) -> None:
        """Delete one of them. It is no error when it is gone already."""
        self._identity(f"delete the EC2 credential {access_key}", "DELETE", f"/{access_key}")

    def swift_info(self, url: str) -> Mapping[str, Any]:
        """What Swift tells of itself below ``url``, scheme and host; nothing where it does not, or is none."""
        from keystoneauth1 import exceptions

        try:
            found = self._session.get(f"{url}/info", authenticated=False).json()
        except (exceptions.ClientException, ValueError):
            # Also when the store has another authority: what reads and writes there says it better.
            return {}
        return found if isinstance(found, dict) else {}

    def _connect(self) -> None:
        try:
            # openstacksdk tells of its own deprecations.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from keystoneauth1 import exceptions
                from openstack import exceptions as sdk
                from openstack.config import OpenStackConfig
        except ImportError:
            raise LibraryError("openstacksdk", _PURPOSE) from None
        # It says on standard error what it raises, too.
        logging.getLogger("keystoneauth").addHandler(logging.NullHandler())
        login = self._login
        given: dict[str, Any] = {
            "cloud": login.cloud,
            "auth": dict(login.auth) or None,
            "auth_type": login.auth_type,
            "region_name": login.region_name,
            "interface": login.interface,
            "cacert": login.cacert,
            "verify": None if login.validate_certs else False,
        }
        # What is said is not mixed with somebody's environment. clouds.yaml is looked for where that says.
        alone = bool(login.auth) and not login.cloud
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                config = OpenStackConfig(load_yaml_config=not alone, load_envvars=not alone).get_one(
                    **{name: value for name, value in given.items() if value is not None}
                )
            except (sdk.ConfigException, exceptions.AuthPluginException) as error:
                raise self._unusable(error) from None
            if login.ca and login.validate_certs and not config.config.get("cacert"):
                config.config["cacert"] = self._files.enter_context(authority_file(login.ca))
            config.config["api_timeout"] = config.config.get("api_timeout") or TIMEOUT
            auth = config.config.get("auth", {})
            missing = incomplete(auth, str(config.config.get("auth_type")))
            if missing:
                raise InputError(f"lacks {missing}", parameter=self._parameter, advice=_ADVICE)
            self._keystone = str(auth["auth_url"])
            self._application_credential = any(name.startswith("application_credential") for name in auth)
            self._interface = str(config.config.get("interface") or "public")
            self._region_name = config.config.get("region_name") or None
            try:
                self._session = config.get_session()
            except (sdk.ConfigException, exceptions.AuthPluginException) as error:
                raise self._unusable(error) from None
            with self._explained(errors.LOG_IN):
                # Some ways of logging in are none at Keystone.
                get_access = getattr(self._session.auth, "get_access", None)
                self._access: Any = get_access(self._session) if get_access else None
        if not self._access or not self.project:
            raise InputError(
                "the login is not for a project",
                parameter="auth",
                advice="Say which: project_name and project_domain_name, or project_id",
            )

    def _unusable(self, error: Exception) -> InputError:
        """Explain what openstacksdk does not like. Its texts name options, not what is in them."""
        cloud = self._login.cloud
        if cloud and "was not found" in str(error):
            return InputError(
                f"{cloud!r} is in no clouds.yaml that openstacksdk finds",
                parameter="cloud",
                advice="It looks in the file that OS_CLIENT_CONFIG_FILE names, in the working directory, in "
                "~/.config/openstack and in /etc/openstack, on the host where this runs",
            )
        if "Region" in str(error) and self._login.region_name:
            return InputError(
                f"{self._login.region_name!r} is none of the regions in clouds.yaml", parameter="region_name"
            )
        return InputError(
            f"openstacksdk cannot use it ({type(error).__name__}): {_first_line(error)}",
            parameter=self._parameter,
            advice=_ADVICE,
        )

    @property
    def _parameter(self) -> str:
        return "cloud" if self._login.cloud else "auth"

    def _identity(self, wanted: str, method: str, path: str = "", **arguments: Any) -> dict[str, Any]:
        with self._explained(wanted), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = self._session.request(
                f"/users/{self._access.user_id}/credentials/OS-EC2{path}",
                method,
                endpoint_filter={
                    "service_type": "identity",
                    "interface": self._interface,
                    "region_name": self._region_name,
                    "version": "3",
                },
                raise_exc=False,
                # Answers hold secrets.
                log=False,
                **arguments,
            )
            if answer.status_code == 404 and method == "DELETE":
                return {}
            if answer.status_code >= 400:
                raise errors.refused(
                    self._keystone,
                    wanted,
                    answer.status_code,
                    answer.text,
                    application_credential=self._application_credential,
                )
            if method == "DELETE":
                return {}
            try:
                found = answer.json()
            except ValueError:
                found = None
        if not isinstance(found, dict):
            raise errors.not_keystone(self._keystone, wanted)
        return found

    @contextmanager
    def _explained(self, wanted: str) -> Iterator[None]:
        """Turn what keystoneauth raises inside into CloudError. No cause is kept: it may hold Keystone's text."""
        from keystoneauth1 import exceptions

        try:
            yield
        except exceptions.ConnectionError as error:
            raise errors.unreachable(self._keystone, wanted, error) from None
        except exceptions.HttpError as error:
            raise errors.refused(
                self._keystone,
                wanted,
                int(error.http_status or 0),
                str(error.message or ""),
                application_credential=self._application_credential,
            ) from None
        except exceptions.AuthPluginException as error:
            raise self._unusable(error) from None
        except exceptions.ClientException:
            # There is no catalog, no version of the API, no sense in it.
            raise errors.not_keystone(self._keystone, wanted) from None


def _credential(item: Mapping[str, Any]) -> Credential:
    return Credential(str(item["access"]), str(item["secret"]))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
