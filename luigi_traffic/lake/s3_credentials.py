"""Who we are to the S3: keys of the settings, of AWS's variables, or of this machine's role.

A role's keys end after an hour or so and are fetched anew by the SDK, on any request. AWS's own
variables say where from, so that Spark's JVMs, which read them too, do the same.
"""

from __future__ import annotations

import os
import re
import threading
from typing import Any
from xml.etree.ElementTree import ParseError

from minio.credentials.credentials import Credentials
from minio.credentials.providers import EnvAWSProvider, IamAwsProvider, Provider, StaticProvider
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.settings.keys import LakeSettings
from luigi_traffic.settings.reading import Layers

_TIMEOUT = Timeout(connect=2.0, read=10.0)
_RETRIES = Retry(
    total=3,
    backoff_factor=0.2,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
    respect_retry_after_header=False,
)
_IDENTITY = "AWS_WEB_IDENTITY_TOKEN_FILE"
_CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
# What the SDK lets through where an answer, a file or a variable is not as it should be.
_WRONG = (ValueError, LookupError, TypeError, AttributeError, OSError, ParseError)


def provider(lake: LakeSettings) -> Provider:
    """What gives the SDK its keys, for each request. For the threads of one process.

    Raises SettingsError if a key is missing. The provider raises SettingsError, or StoreError if
    nothing answers.
    """
    if lake.keys_from == "settings":
        token = lake.session_token
        return StaticProvider(
            _secret(lake, "access_key"),
            _secret(lake, "secret_key"),
            token.get_secret_value() if token else None,
        )
    if lake.keys_from == "environment":
        return _Explained(EnvAWSProvider(), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if os.environ.get(_IDENTITY):
        endpoint, source = os.environ.get("AWS_ENDPOINT_URL_STS"), f"the token of {_IDENTITY}"
    elif any(os.environ.get(name) for name in _CONTAINER):
        endpoint, source = None, "the role of this container (AWS_CONTAINER_CREDENTIALS_…)"
    else:
        endpoint = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        source = "the role of this machine (EC2's metadata)"
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise SettingsError(
                "lake.keys_from is 'role': there is no AWS_WEB_IDENTITY_TOKEN_FILE and no "
                "AWS_CONTAINER_CREDENTIALS_…, and AWS_EC2_METADATA_DISABLED forbids the other "
                "sources"
            )
    fetching = IamAwsProvider(
        custom_endpoint=endpoint.rstrip("/") if endpoint else None,
        http_client=_Discreet(lake),
        region=lake.region,
    )
    return _Explained(fetching, source)


def _secret(lake: LakeSettings, name: str) -> str:
    secret = getattr(lake, name)
    if not secret:
        variable = Layers.variable(f"lake.{name}")
        raise SettingsError(
            f"lake.{name} is missing: it is a secret, set {variable}. Or set lake.keys_from to "
            "'environment' (AWS's variables) or 'role' (of this machine)"
        )
    return str(secret.get_secret_value())


class _Explained(Provider):
    """One thread at a time fetches; what goes wrong is an error of ours that holds no secret."""

    def __init__(self, inner: Provider, source: str) -> None:
        self._inner, self._source = inner, source
        self._guard = threading.Lock()

    def retrieve(self) -> Credentials:
        try:
            with self._guard:
                return self._inner.retrieve()
        # From None: what the SDK says may hold an address with a token in it.
        except HTTPError as e:
            raise StoreError(
                f"no keys for the lake from {self._source}: {_safe(e)}. Does this machine have "
                "that role? See lake.keys_from"
            ) from None
        except _WRONG as e:
            raise SettingsError(
                f"no keys for the lake from {self._source}: {_safe(e)}. See lake.keys_from"
            ) from None


def _safe(error: Exception) -> str:
    """Without the queries of addresses."""
    said = re.sub(r"[?]\S*", "?…", str(error))
    return f"{type(error).__name__}: {said[:300]}"


class _Discreet(PoolManager):
    """Sends an identity's token in the body, where the SDK has it in the address, which is logged.

    Follows no redirect: the token is for this host.
    """

    def __init__(self, lake: LakeSettings) -> None:
        super().__init__(
            timeout=_TIMEOUT,
            retries=_RETRIES,
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(lake.ca_file) if lake.ca_file else None,
        )

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **kw: Any
    ) -> BaseHTTPResponse:
        if method == "POST":
            url, _, query = url.partition("?")
            kw |= {
                "body": query,
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            }
        return super().urlopen(method, url, redirect=False, **kw)
