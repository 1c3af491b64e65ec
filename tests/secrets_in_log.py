# Copyright: (c) 2026, SCS Observability contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a log with every Secret of namespaces, and fail when it holds something of one.

kubectl get secrets --namespace NAMESPACE --output json | secrets_in_log.py LOG...

What was found is told by the names of Secret and key, never by its value. Certificates are no secrets. Of a
configuration, what counts are the passwords, keys and tokens in it, beside the whole of it.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

# Shorter texts are in any log.
SHORTEST = 8
_SECRET_FIELD = re.compile(r"pass(word|phrase|wd)?$|secret|token|credentials|private_?key|api_url|authorization", re.I)
_CERTIFICATES = re.compile(r"\s*(-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\s*)+")
_PRIVATE_KEY = "PRIVATE KEY-----"


def leaks(log: str, secrets: dict[str, Any]) -> list[str]:
    """Return "NAMESPACE/SECRET KEY" of everything of a list of Secrets (as the API has it) that is in a log."""
    found = []
    for item in secrets["items"]:
        where = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        for key, encoded in (item.get("data") or {}).items():
            try:
                value = base64.b64decode(encoded).decode()
            except UnicodeDecodeError:
                texts = {encoded}
            else:
                texts = set() if _CERTIFICATES.fullmatch(value) else {encoded, *forms(value)}
            if any(text in log for text in texts if len(text) >= SHORTEST):
                found.append(f"{where} {key}")
    return found


def forms(value: str) -> Iterator[str]:
    """What a value looks like in a log: as it is, in JSON, in Base64, and of a longer text what is secret in it."""
    parts = [value, value.strip()]
    if _PRIVATE_KEY in value:
        # The last line of a key on a curve is of its public half, which certificates have, too.
        parts += [line for line in value.splitlines() if "-----" not in line][:-1]
    else:
        parts += fields(value)
    for part in parts:
        once = json.dumps(part)[1:-1]
        yield from (part, once, json.dumps(once)[1:-1], base64.b64encode(part.encode()).decode())


def fields(value: str) -> list[str]:
    """Texts under keys that sound secret, when the value is YAML or JSON."""
    try:
        documents = list(yaml.safe_load_all(value))
    except yaml.YAMLError:
        return []
    return [text for document in documents for text in _secret_texts(document)]


def _secret_texts(value: Any, *, secret: bool = False, receiver: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            # Where a secret is kept is none. Who knows the URL of one that Alertmanager tells may tell it, too.
            named = not str(key).endswith("_file")
            found = bool(_SECRET_FIELD.search(str(key))) or (receiver and key == "url")
            told = receiver or str(key).endswith("_configs")
            yield from _secret_texts(item, secret=named and (secret or found), receiver=told)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_texts(item, secret=secret, receiver=receiver)
    elif secret and isinstance(value, str):
        yield value


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG")
    options = parser.parse_args(arguments)
    secrets = json.load(sys.stdin)
    if not secrets["items"]:
        parser.error("there are no Secrets to compare with")
    found = [f"{path}: {leak}" for path in options.logs for leak in leaks(path.read_text(errors="replace"), secrets)]
    for text in found:
        print(text, file=sys.stderr)
    values = sum(len(item.get("data") or {}) for item in secrets["items"])
    print(f"{len(found)} of {values} values of {len(secrets['items'])} Secrets are in the log")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
