"""MinIO, or any S3 that honours `If-None-Match: *`, as object store (docs/decisions/0013)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import IO, TypeVar

from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from luigi_traffic.errors import StoreError
from luigi_traffic.lake.s3_client import Clients
from luigi_traffic.lake.s3_errors import explained, place, refusal
from luigi_traffic.lake.s3_pool import PATIENCE_S, KeyTaken
from luigi_traffic.lake.s3_upload import PART_BYTES, Pipe, uploading
from luigi_traffic.lake.store import ObjectInfo, ObjectStore, Sealed
from luigi_traffic.settings.keys import LakeSettings

_BLOCK = 1 << 20
_MISSING = ("NoSuchKey", "NoSuchVersion")

T = TypeVar("T")


@dataclass(frozen=True)
class Unfinished:
    """A multipart upload that was neither completed nor aborted.

    `size` is that of its first 1,000 parts, in bytes; `begun` is aware, in UTC.
    """

    key: str
    upload_id: str
    size: int
    begun: datetime | None


class S3Store(ObjectStore):
    """Objects are objects of one bucket, which must exist. Connects when it is first used.

    A request that fails in a passing way is tried again for `patience_s`; then, besides the
    errors of every store, methods raise `SettingsError` for what somebody has to change:
    no such bucket, keys that are refused, a store that would overwrite a commit.
    """

    def __init__(self, settings: LakeSettings, patience_s: float = PATIENCE_S) -> None:
        self._lake = settings
        self._patience_s = patience_s
        self._clients = Clients(settings, patience_s)

    def create(self, key: str, data: bytes) -> bool:
        """Create the object if its key is free; False where it is taken.

        Where an answer was lost and the key is taken now, the object is read back: with our
        very bytes it is ours. Callers whose bytes may be equal to another's must tell by
        something else whose they are; a manifest names its attempt.
        """
        creator, name = self._clients.creator(), _checked(key)
        try:
            with explained(self._lake, key):
                creator.put_object(self._lake.bucket, name, BytesIO(data), len(data))
        except KeyTaken as taken:
            return taken.maybe_ours and self.read(key) == data
        return True

    def writer(self, key: str) -> AbstractContextManager[IO[bytes]]:  # noqa: D102
        name = _checked(key)
        self._clients.prove()
        return uploading(lambda pipe: self._send(name, pipe), name)

    def _send(self, key: str, pipe: Pipe) -> None:
        client = self._clients.plain()
        with explained(self._lake, key):
            try:
                # One part at a time: the SDK tells of a failed part only after the last one,
                # and leaves its threads behind, where it uploads several.
                made = client.put_object(
                    self._lake.bucket,
                    key,
                    pipe,  # type: ignore[arg-type]  # of a stream, only `read` is used
                    length=-1,
                    part_size=PART_BYTES,
                    num_parallel_uploads=1,
                )
            except S3Error as e:
                # Tried again after a lost answer, completing finds that the upload has ended.
                if e.code == "NoSuchUpload" and self._size(key) == pipe.written:
                    return
                raise
        if not made.etag:  # S3 may answer 200 and tell of an error in the body
            raise StoreError(f"{place(self._lake)} did not complete the upload of {key}")

    def _size(self, key: str) -> int | None:
        try:
            return self._clients.plain().stat_object(self._lake.bucket, key).size
        except S3Error as e:
            if e.code in _MISSING:
                return None
            raise

    def seal(self, key: str) -> Sealed:  # noqa: D102
        def measure(body: BaseHTTPResponse) -> Sealed:
            digest, size = hashlib.sha256(), 0
            for block in body.stream(_BLOCK, decode_content=False):
                digest.update(block)
                size += len(block)
            return Sealed(key, size, f"sha256:{digest.hexdigest()}")

        return self._get(key, measure)

    def read(self, key: str) -> bytes:  # noqa: D102
        return self._get(key, lambda body: body.read(decode_content=False))

    def _get(self, key: str, use: Callable[[BaseHTTPResponse], T]) -> T:
        """What `use` makes of an object's content; anew where the content broke off."""
        client, name = self._clients.plain(), _checked(key)

        def once() -> T:
            # Closing ends the connection only where the content was not read to its end.
            with closing(client.get_object(self._lake.bucket, name)) as body:
                return use(body)

        retrying = Retrying(
            retry=retry_if_exception_type((ProtocolError, ReadTimeoutError)),
            stop=stop_after_delay(self._patience_s),
            wait=wait_exponential(multiplier=0.1, max=3),
            reraise=True,
        )
        with explained(self._lake, key):
            return retrying(once)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:  # noqa: D102
        client, name = self._clients.plain(), _checked(prefix)
        with explained(self._lake):
            for found in client.list_objects(self._lake.bucket, prefix=name, recursive=True):
                yield ObjectInfo(found.object_name, found.size or 0, found.last_modified)

    def _remove(self, keys: Iterable[str]) -> None:
        """Remove objects, 1,000 a request. Raises the first refusal, after all were tried."""
        client = self._clients.plain()
        doomed = (DeleteObject(_checked(key)) for key in keys)
        with explained(self._lake):
            refused = list(client.remove_objects(self._lake.bucket, doomed))
        for error in refused:
            if error.code not in _MISSING:
                raise refusal(self._lake, error.code, error.message or "", error.name or "")

    def unfinished(self) -> Iterator[Unfinished]:
        """Multipart uploads of the whole bucket, also those that still go on.

        What a store tells here differs: MinIO forgets it when it restarts, and removes
        uploads by itself after a day.
        """
        client, bucket, marker = self._clients.plain(), self._lake.bucket, None
        with explained(self._lake):
            while True:
                # The SDK has no public call for this, nor for the two below.
                page = client._list_multipart_uploads(bucket, key_marker=marker)
                for upload in page.uploads:
                    key, upload_id = str(upload.object_name), str(upload.upload_id)
                    try:
                        parts = client._list_parts(bucket, key, upload_id).parts
                    except S3Error as e:
                        if e.code == "NoSuchUpload":  # it has ended since it was listed
                            continue
                        raise
                    size = sum(part.size or 0 for part in parts)
                    yield Unfinished(key, upload_id, size, upload.initiated_time)
                marker = page.next_key_marker
                if not page.is_truncated or not marker:
                    return

    def abort(self, upload: Unfinished) -> None:
        """End it and drop its parts; one that has ended is no error."""
        client = self._clients.plain()
        with explained(self._lake, upload.key):
            try:
                client._abort_multipart_upload(self._lake.bucket, upload.key, upload.upload_id)
            except S3Error as e:
                if e.code != "NoSuchUpload":
                    raise

    def spark_url(self, key: str) -> str:  # noqa: D102
        return f"s3a://{self._lake.bucket}/{_checked(key)}"

    def describe(self) -> str:  # noqa: D102
        return place(self._lake)


def _checked(key: str) -> str:
    if key.startswith("/") or ".." in key.split("/"):
        raise ValueError(f"not a key of the lake: {key!r}")
    return key
