"""What an S3 refuses, or that it does not answer, as errors that say what to do."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from luigi_traffic.errors import SettingsError, StoreError, TrafficError
from luigi_traffic.settings.keys import LakeSettings
from luigi_traffic.settings.reading import Layers

_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidTokenId")
_ENDED = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired")
_REGION = ("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect")
_LONGEST = 300


def place(lake: LakeSettings) -> str:
    """Bucket and endpoint, for people."""
    return f"s3://{lake.bucket} at {lake.endpoint}"


@contextmanager
def explained(lake: LakeSettings, key: str = "") -> Iterator[None]:
    """Errors of the SDK and of HTTP inside the block as ours.

    Raises `KeyError` where object `key` is missing, `SettingsError` for a bucket, keys, a
    region or a certificate that are wrong, `StoreError` for everything else.
    """
    try:
        yield
    except S3Error as e:
        if e.code == "NoSuchKey":
            raise KeyError(key) from None
        if e.code == "RequestTimeTooSkewed":
            raise _clock(lake, e.response.headers.get("date")) from e
        raise refusal(lake, e.code or "", e.message or "", key) from e
    except (MinioException, ParseError) as e:
        raise StoreError(
            f"{place(lake)} gave an answer that is not from S3: {str(e)[:_LONGEST]}. Is "
            "lake.endpoint the address of its S3 API?"
        ) from e
    except HTTPError as e:
        raise _no_answer(lake, e) from e


def refusal(lake: LakeSettings, code: str, message: str, key: str = "") -> TrafficError:
    """The error for an error code of S3."""
    if code == "NoSuchBucket":
        return SettingsError(
            f"there is no bucket {lake.bucket!r} at {lake.endpoint}: create it, or set "
            "lake.bucket to another one"
        )
    if code == "InvalidBucketName":
        return SettingsError(f"lake.bucket: {lake.bucket!r} is not a valid bucket name: {message}")
    if code in _KEYS:
        return SettingsError(
            f"{place(lake)} refuses the access keys ({code}: {message}). Check {_keys(lake)}, and "
            "that this user may list, read, write and delete objects of the bucket. For a user "
            "with few rights, a bucket that does not exist gives the same error"
        )
    if code in _ENDED:
        return SettingsError(
            f"{place(lake)} does not accept the session token, or not any more ({code}: "
            f"{message}). Set {_keys(lake)} again. A run that takes longer than a token lasts "
            "needs permanent keys, or lake.keys_from 'role', which fetches new ones"
        )
    if code in _REGION:
        return SettingsError(
            f"{place(lake)} is in another region than {lake.region!r} ({message}): set "
            "lake.region, and the endpoint of that region"
        )
    what = f" ({key})" if key else ""
    return StoreError(f"{place(lake)} answered {code}: {message[:_LONGEST]}{what}")


def _keys(lake: LakeSettings) -> str:
    """Where they were set, for people."""
    if lake.keys_from == "role":
        return "the role of this machine"
    if lake.keys_from == "environment":
        return "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
    names = ["access_key", "secret_key", *(["session_token"] if lake.session_token else [])]
    return " and ".join(Layers.variable(f"lake.{name}") for name in names)


def _clock(lake: LakeSettings, date: str | None) -> StoreError:
    told = "by more than it allows"
    if date:
        ahead = round((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
        told = f"{abs(ahead):,} s {'ahead of' if ahead > 0 else 'behind'} that of the store"
    return StoreError(
        f"{place(lake)} refuses the requests because of their time: the clock of this machine is "
        f"{told}. Set the clocks (NTP)"
    )


def _no_answer(lake: LakeSettings, error: HTTPError) -> TrafficError:
    if any(isinstance(e, ssl.SSLCertVerificationError) for e in error.args):
        given = f"not by {lake.ca_file}" if lake.ca_file else "not by a CA of this system"
        return SettingsError(
            f"the certificate of {lake.endpoint} is not trusted, {given}: {error}. Set "
            "lake.ca_file to the CA that issued it"
        )
    return StoreError(
        f"no answer from {place(lake)}: {error}. Is the server up, and is lake.endpoint right? "
        "The request may or may not have been carried out; a rerun finds out"
    )
