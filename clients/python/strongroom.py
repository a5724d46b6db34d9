# SPDX-License-Identifier: Apache-2.0
"""Reads secrets from Strongroom inside a workload. One file: copy it beside your program.

Needs Python 3.9 and jwcrypto (``pip install jwcrypto==1.6.1``), which does the cryptography (RFC 7516, 7518, 8037).

    import strongroom

    with strongroom.read({"password": "secret://domain/managed/db-password"}, domain="finance") as secrets:
        connect(password=secrets["password"])

The server is ``STRONGROOM_URL``. The credential is ``STRONGROOM_TOKEN``, or the file ``STRONGROOM_TOKEN_FILE``, or a pod's
projected ServiceAccount token at ``/var/run/secrets/strongroom/token``; files are read anew for each request.

All values are delivered or none. Whatever fails raises :class:`StrongroomError` with the server's ``code``; no error holds a
value or a token, and a reference is never given back as a value.
"""

import base64
import binascii
import http.client
import json
import os
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import datetime

from jwcrypto import jwe, jwk
from jwcrypto.common import JWException

__all__ = ["Secrets", "StrongroomError", "read"]

TOKEN_FILE = "/var/run/secrets/strongroom/token"
_TIMEOUT_SECONDS = 30
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
# The key that bound a launch may ask again for 60 s: an answer that was lost on the way is no lost launch.
_ATTEMPTS = 3


class StrongroomError(Exception):
    """What went wrong. ``code`` is of the server's error table, ``errors`` has an entry for each bad reference."""

    def __init__(self, code, detail, hint="", errors=(), retryable=False):
        super().__init__(f"{detail} ({code})")
        self.code = code
        self.detail = detail
        self.hint = hint
        self.errors = list(errors)
        self.retryable = retryable


class Secrets:
    """Values of one launch by name, until it is closed. Says every now and then that the workload runs."""

    def __init__(self, client, launch, values, heartbeat_until):
        self._client = client
        self._launch = launch
        self._values = values
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(heartbeat_until,), daemon=True)
        self._thread.start()

    def __getitem__(self, name):
        """The value as text. Raises :class:`StrongroomError` when it is not UTF-8, or not there."""
        try:
            return self.bytes(name).decode("utf-8")
        except UnicodeDecodeError:
            raise StrongroomError("launch_refused", f"The value of {name} is not UTF-8 text.") from None

    def bytes(self, name):
        """The value as bytes, a copy."""
        if self._stopped.is_set():
            raise StrongroomError("state_conflict", "The values are closed.")
        if name not in self._values:
            raise StrongroomError("reference_unresolved", f"Nothing was delivered for {name}.")
        return bytes(self._values[name])

    def names(self):
        return list(self._values)

    def close(self):
        """Zeroes the values held here and tells the server that the workload has ended. Copies can't be zeroed."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        for value in self._values.values():
            value[:] = bytes(len(value))
        try:
            self._client.call("POST", f"/v1/launches/{self._launch}/end")
        except StrongroomError:
            # The values are gone here; that nobody could be told shows as an unknown workload when the lease has ended.
            return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"<strongroom.Secrets {', '.join(self._values)}>"

    # Values don't travel with a closure to other machines.
    def __reduce__(self):
        raise TypeError("Secrets can not be pickled: read them where they are used")

    def _beat(self, until):
        while not self._stopped.wait(min(max(5.0, (_seconds(until) - time.time()) / 2), 60.0)):
            try:
                until = _text(self._client.call("POST", f"/v1/launches/{self._launch}/heartbeat"), "heartbeatUntil")
            except StrongroomError as error:
                if not error.retryable:
                    return


def read(references, domain, url=None, token=None, token_file=None, ca_file=None, curve="X25519"):
    """Receives the values of ``references`` (name to ``secret://…``), all or none.

    ``url``, ``token`` and ``token_file`` take the place of the environment; ``ca_file`` is a PEM file of the server's
    authority; ``curve`` is ``X25519`` or ``P-256``.
    """
    for name, reference in references.items():
        if not isinstance(reference, str) or not reference.startswith("secret://"):
            raise StrongroomError("reference_malformed", f"What {name} names is not a reference.")
    client = _Client(url, token, token_file, ca_file)
    wanted = [{"name": name, "reference": reference} for name, reference in references.items()]
    path = f"/v1/domains/{urllib.parse.quote(domain, safe='')}/launches"
    launch = _text(client.call("POST", path, {"references": wanted}, {"Idempotency-Key": str(uuid.uuid4())}), "id")
    key = jwk.JWK.generate(kty="OKP", crv="X25519") if curve == "X25519" else jwk.JWK.generate(kty="EC", crv="P-256")
    public = {name: part for name, part in key.export_public(as_dict=True).items() if name in ("kty", "crv", "x", "y")}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = client.call("POST", f"/v1/launches/{launch}/resolve", {"publicKey": public})
            break
        except StrongroomError as error:
            if error.code != "server_unreachable" or attempt == _ATTEMPTS:
                raise
            time.sleep(0.5)
    values = _open(_text(answer, "jwe"), key, launch)
    if set(values) != set(references):
        raise StrongroomError("reference_unresolved", "What was delivered is not what was asked for.")
    return Secrets(client, launch, values, _text(answer, "heartbeatUntil"))


def _open(text, key, launch):
    """Opens a delivery and checks that it is this launch's, whole, and nothing else."""
    try:
        sealed = jwe.JWE(algs=["ECDH-ES", "A256GCM"])
        sealed.deserialize(text)
        header = sealed.jose_header
        if header.get("kid") != launch or "zip" in header:
            raise ValueError
        sealed.decrypt(key)
        document = json.loads(sealed.payload)
        if document["launch"] != launch:
            raise ValueError
        return {
            item["name"]: bytearray(base64.b64decode(item["valueBase64"], validate=True)) for item in document["values"]
        }
    except (JWException, ValueError, KeyError, TypeError, binascii.Error):
        # One failure for all of them; what the parsers would say quotes what they read.
        raise StrongroomError("launch_failed", "The delivery could not be opened with this launch's key.") from None


class _Client:
    def __init__(self, url, token, token_file, ca_file):
        self._url = (url or os.environ.get("STRONGROOM_URL", "")).rstrip("/")
        self._token = token or (None if token_file else os.environ.get("STRONGROOM_TOKEN"))
        self._token_file = token_file or os.environ.get("STRONGROOM_TOKEN_FILE") or TOKEN_FILE
        parts = urllib.parse.urlsplit(self._url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
            raise StrongroomError("validation_failed", "STRONGROOM_URL has to be https://…, or http:// to this machine.")
        context = ssl.create_default_context(cafile=ca_file)
        # Redirects would take the token elsewhere, and so would proxies that somebody else's variables name.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirects()
        )

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(self._url + path, method=method)
        request.add_header("Accept", "application/json, application/problem+json")
        request.add_header("Authorization", "Bearer " + self._credential())
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                content = response.read(_MAX_ANSWER_BYTES)
                return json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            raise _problem(error) from None
        except (OSError, ValueError, http.client.HTTPException):
            # What the library says of a broken answer has the answer in it.
            raise _no_server() from None

    def _credential(self):
        if self._token:
            token = self._token
        else:
            try:
                with open(self._token_file, encoding="ascii") as file:
                    token = file.read(16_384).strip()
            except (OSError, UnicodeDecodeError):
                raise StrongroomError(
                    "unauthenticated", f"There is no token: {self._token_file} can not be read."
                ) from None
        if not token or not all("!" <= character <= "~" for character in token):
            raise StrongroomError("unauthenticated", "The token is empty, or holds characters that no token has.")
        return token


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def _problem(error):
    """RFC 9457; an answer that is none is told by its status."""
    try:
        problem = json.loads(error.read(1024 * 1024))
        code = problem["code"]
        detail = problem.get("detail") or problem.get("title", "")
        return StrongroomError(code, detail, problem.get("hint", ""), problem.get("errors", ()), error.code in (429, 503))
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return StrongroomError("server_unreachable", f"What answered with {error.code} is not Strongroom.", retryable=True)


def _no_server():
    return StrongroomError(
        "server_unreachable", "The server can not be reached, or does not answer as one.", retryable=True
    )


def _text(document, name):
    """A member of an answer, of which anything else is none."""
    text = document.get(name) if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise _no_server()
    return text


def _seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
