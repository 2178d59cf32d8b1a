"""The minio SDK's clients: one pair a process, opened when first used, and the probe."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import urlsplit

from minio import Minio
from minio.error import S3Error

from luigi_traffic.errors import SettingsError
from luigi_traffic.lake.s3_credentials import provider
from luigi_traffic.lake.s3_errors import explained, place
from luigi_traffic.lake.s3_pool import CreatePool, KeyTaken, Pool
from luigi_traffic.settings.keys import LakeSettings

PROBE = "_probe/if-none-match"


@dataclass
class _Process:
    """What belongs to one process: a socket must never be used on both sides of a fork."""

    plain: Minio
    creator: Minio
    #: The parent's. Kept, for dropping it would close its pool here, under locks that a
    #: thread of the parent may have held at the fork.
    parent: _Process | None
    pid: int = field(default_factory=os.getpid)
    guard: threading.Lock = field(default_factory=threading.Lock)
    proven: bool = False


class Clients:
    """Clients of the store, for any number of threads, on either side of a fork.

    Raises `SettingsError` where a key or the file of the CA is missing.
    """

    def __init__(self, lake: LakeSettings, patience_s: float) -> None:
        self._lake = lake
        self._patience_s = patience_s
        self._process: _Process | None = None

    def plain(self) -> Minio:
        """For everything but commits."""
        return self._here().plain

    def creator(self) -> Minio:
        """Its PUTs create or raise `KeyTaken`. The store has been probed."""
        self.prove()
        return self._here().creator

    def prove(self) -> None:
        """Make sure, once a process, that the store does not overwrite what is to be created.

        One request that writes nothing, but for the first time ever in a bucket. Raises
        `SettingsError` where the store ignores the condition.
        """
        here = self._here()
        with here.guard:
            if not here.proven:
                with explained(self._lake, PROBE):
                    self._probe(here.creator)
                here.proven = True

    def _probe(self, creator: Minio) -> None:
        for _ in range(2):
            try:
                creator.put_object(self._lake.bucket, PROBE, BytesIO(b"probe"), 5)
            except KeyTaken:
                return
            except S3Error as e:
                if e.code != "NotImplemented":
                    raise
                break
        raise SettingsError(
            f"{place(self._lake)} does not honour `If-None-Match: *`: it would overwrite a "
            "commit, and two runs could both commit a day. Use a store that honours it (AWS S3, "
            "MinIO of 2024 or later, or another one whose documentation says so), or lake.kind: "
            "local"
        )

    def _here(self) -> _Process:
        here = self._process
        if here is None or here.pid != os.getpid():
            here = _Process(self._open(Pool), self._open(CreatePool), parent=here)
            self._process = here
        return here

    def _open(self, pool: type[Pool]) -> Minio:
        lake, address = self._lake, urlsplit(self._lake.endpoint)
        if lake.ca_file and not lake.ca_file.is_file():
            raise SettingsError(f"lake.ca_file: the file {lake.ca_file} does not exist")
        client = Minio(
            address.netloc,
            credentials=provider(lake),
            secure=address.scheme == "https",
            region=lake.region,
            http_client=pool(lake, self._patience_s),
        )
        if lake.path_style:
            client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        else:
            client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        return client
