"""HTTP to an S3, below the minio SDK: pooled connections, time limits, retries."""

from __future__ import annotations

import logging
import ssl
from io import BytesIO
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_delay,
    wait_exponential,
    wait_random,
)
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError

from luigi_traffic.settings.keys import LakeSettings

log = logging.getLogger(__name__)

#: How long a request is tried again; a server that restarts is back within half of it.
PATIENCE_S = 60.0
_TIMEOUT = Timeout(connect=10.0, read=60.0)
_LONGEST_PAUSE_S = 3.0
_CONNECTIONS = 16
_BLOCK = 256 << 10
_CONFLICT, _TAKEN = 409, 412


class Pool(PoolManager):
    """Tries again, with growing pauses, what may pass: no connection, no answer, 408, 429, 5xx.

    After `patience_s` the last answer is returned, or the last `HTTPError` raised. One
    request more may be under way by then, so the longest wait is that of a read (60 s) more.
    A `Retry-After` of the server is not waited for: it may ask for hours.
    """

    passing = frozenset({408, 429, 500, 502, 503, 504})

    def __init__(self, lake: LakeSettings, patience_s: float = PATIENCE_S) -> None:
        super().__init__(
            maxsize=_CONNECTIONS,
            timeout=_TIMEOUT,
            retries=False,
            blocksize=_BLOCK,
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(lake.ca_file) if lake.ca_file else None,  # None: the system's
        )
        self._endpoint = lake.endpoint
        self._patience_s = patience_s

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **kw: Any
    ) -> BaseHTTPResponse:
        """One request. A redirect is returned, not followed: its signature is for this host."""
        return self._insist(method, url, **kw)[0]

    def _send(self, method: str, url: str, **kw: Any) -> BaseHTTPResponse:
        return super().urlopen(method, url, **kw)

    def _insist(
        self, method: str, url: str, body: bytes | None = None, **kw: Any
    ) -> tuple[BaseHTTPResponse, bool]:
        """The answer, and whether an earlier try may have been carried out."""
        maybe_done = False

        def once() -> BaseHTTPResponse:
            # As a file, because it is then sent in blocks: the time limit of a send is that of
            # a block, and a slow line may take longer over a whole body.
            stream = BytesIO(body) if body else body
            return self._send(method, url, redirect=False, body=stream, **kw)

        def before_next(state: RetryCallState) -> None:
            nonlocal maybe_done
            assert state.outcome is not None  # it is never None here, says tenacity
            error = state.outcome.exception()
            response: BaseHTTPResponse | None = None if error else state.outcome.result()
            if response is None or response.status != _CONFLICT:
                maybe_done = True
            if response is not None:
                response.drain_conn()
            # The first failure may only be an idle connection that was closed as it was used.
            if state.attempt_number == 2:
                log.warning(
                    "The lake's store at %s: %s. Retrying for up to %g s.",
                    self._endpoint, response.status if response else error, self._patience_s,
                )  # fmt: skip

        retrying = Retrying(
            retry=retry_if_exception(_may_pass)
            | retry_if_result(lambda response: response.status in self.passing),
            stop=stop_after_delay(0 if _is_abort(method, url) else self._patience_s),
            wait=wait_exponential(multiplier=0.1, max=_LONGEST_PAUSE_S) + wait_random(0, 0.2),
            before_sleep=before_next,
            retry_error_callback=_last,
        )
        return retrying(once), maybe_done


class KeyTaken(Exception):
    """The store did not overwrite an object. `maybe_ours`: an answer before was lost."""

    def __init__(self, maybe_ours: bool) -> None:
        super().__init__("the key is taken")
        self.maybe_ours = maybe_ours


class CreatePool(Pool):
    """Every PUT through it creates an object or raises `KeyTaken`; a conflict is tried again.

    minio-py cannot say this: `put_object` makes metadata of a header that it does not know.
    The condition is added below the signature, which need not cover it.

    Each request has a connection of its own. MinIO closes one after a 412 without saying so,
    and the next commit on it would look like one whose answer was lost.
    """

    passing = Pool.passing | {_CONFLICT}

    def urlopen(  # type: ignore[override]  # noqa: D102
        self, method: str, url: str, redirect: bool = True, **kw: Any
    ) -> BaseHTTPResponse:
        if method != "PUT":
            raise AssertionError(f"{method} through a pool that only creates")
        kw["headers"].update({"If-None-Match": "*", "Connection": "close"})
        response, maybe_done = self._insist(method, url, **kw)
        if response.status == _TAKEN:
            raise KeyTaken(maybe_done)
        return response

    def _send(self, method: str, url: str, **kw: Any) -> BaseHTTPResponse:
        with PoolManager(**self.connection_pool_kw) as own:
            return own.urlopen(method, url, **kw)


def _last(state: RetryCallState) -> BaseHTTPResponse:
    """What the last try gave; raises what it raised."""
    assert state.outcome is not None
    response: BaseHTTPResponse = state.outcome.result()
    return response


def _may_pass(error: BaseException) -> bool:
    """Every failure of HTTP but a certificate that is not trusted."""
    if not isinstance(error, HTTPError):
        return False
    return not any(isinstance(e, ssl.SSLCertVerificationError) for e in (error, *error.args))


def _is_abort(method: str, url: str) -> bool:
    """The end of an upload that failed already: not insisted on, `gc` removes what stays."""
    return method == "DELETE" and "uploadId=" in url
