"""A download that breaks off goes on where it was, against a real server on loopback."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
from http_server import Answer, HttpServer, Request, http_server

import luigi_traffic as lt
from luigi_traffic.errors import SourceAbsent, SourceError, TransientError
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings

DAY = date(2012, 3, 28)
MIB = 1 << 20
BREAK = 3 * MIB + 1000
ONCE = IngestSettings(attempts=1, backoff_seconds=0.01, settle_seconds=0)
TWICE = ONCE.model_copy(update={"attempts": 2})
LATE = "Wed, 28 Mar 2012 10:00:00 GMT"
LATER = "Wed, 28 Mar 2012 11:00:00 GMT"


def text_of(seed: int) -> bytes:
    noise = random.Random(seed)
    return b"".join(b"%s\n" % noise.randbytes(500).hex().encode() for _ in range(5200))


def packed(text: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("day.csv"), text)
    return file.getvalue()


TEXT, OTHER = text_of(0), text_of(1)


class Lines(lt.Dataset):
    name, version, interval, timezone, speed_unit = "web", "1", timedelta(minutes=5), "UTC", "km/h"

    def __init__(self, source: lt.Source) -> None:
        super().__init__(self.Settings())
        self._source = source

    def source(self) -> lt.Source:
        return self._source

    def header(self, first_line: str) -> bool:
        return False

    def bronze(self, spark, raw):
        raise AssertionError

    def silver(self, bronze):
        raise AssertionError


@dataclass
class FileServer:
    """Serves one file; `breaks` says for each answer to come after how many bytes it breaks off."""

    body: bytes
    headers: dict[str, str]
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    sent: list[int] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        start, status, headers = 0, 200, dict(self.headers)
        known = request.headers.get("If-Range") in (headers.get("ETag"), headers["Last-Modified"])
        if self.ranges and known and (wanted := request.headers.get("Range")):
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            end = len(self.body)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        rest = self.body[start:]
        coming = rest[: self.breaks.pop(0)] if self.breaks else rest
        self.sent.append(len(coming))
        return Answer(coming, status, headers, size=len(rest))


def serve(body: bytes, etag: str | None = '"one"', **more) -> FileServer:
    headers = {"Last-Modified": LATE, "Date": LATER} | ({"ETag": etag} if etag else {})
    return FileServer(body, headers, **more)


@pytest.fixture
def web() -> Iterator[HttpServer]:
    with http_server(Answer()) as web:
        yield web


def fetch(web: HttpServer, tmp_path: Path, end: str, limits: IngestSettings = ONCE) -> Ingested:
    catalog = Catalog(LocalStore(tmp_path / "lake"))
    source = lt.Http(f"{web.url}/{{date}}.{end}", timeout=20)
    return ingest(Lines(source), DAY, catalog, limits, tmp_path / "tmp", lambda *_: None)


def check(day: Ingested, tmp_path: Path, body: bytes, text: bytes) -> None:
    """That is the day, its hash is the file's, and no scratch is left."""
    store = LocalStore(tmp_path / "lake")
    assert b"".join(gzip.decompress(store.read(file.key)) for file in day.files) == text
    assert day.content_hash == hashlib.sha256(body).hexdigest()
    assert (day.archives[0]["bytes"], day.archives[0]["said"]["length"]) == (
        len(body), str(len(body)),
    )  # fmt: skip
    assert list((tmp_path / "tmp").iterdir()) == []


FORMS = [("zip", packed(TEXT)), ("csv", TEXT), ("csv.gz", gzip.compress(TEXT, 0))]


@pytest.mark.parametrize("etag", ['"one"', None])
@pytest.mark.parametrize(("end", "body"), FORMS)
def test_a_connection_that_breaks_is_taken_up_again(
    web: HttpServer, tmp_path: Path, end: str, body: bytes, etag: str | None
) -> None:
    web.answers = server = serve(body, etag, breaks=[BREAK])
    check(fetch(web, tmp_path, end, TWICE), tmp_path, body, TEXT)
    assert web.asked[1].headers["Range"] == f"bytes={BREAK}-"
    assert web.asked[1].headers["If-Range"] == (etag or LATE)
    assert server.sent == [BREAK, len(body) - BREAK]


def test_it_may_break_again_and_again(web: HttpServer, tmp_path: Path) -> None:
    body = packed(TEXT)
    web.answers = server = serve(body, breaks=[2 * MIB, MIB, 10])
    limits = ONCE.model_copy(update={"attempts": 4})
    check(fetch(web, tmp_path, "zip", limits), tmp_path, body, TEXT)
    assert server.sent == [2 * MIB, MIB, 10, len(body) - 3 * MIB - 10]


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from luigi_traffic.api.part import Part
import test_resume

added, add = [], Part.add
def add_and_die(part, chunk):
    add(part, chunk)
    added.append(chunk)
    if len(added) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Part.add = add_and_die

class Web:
    url = {url!r}
test_resume.fetch(Web, Path({folder!r}), {end!r})
"""


@pytest.mark.parametrize(("end", "body"), FORMS)
def test_a_process_that_was_killed_is_followed_by_one_that_fetches_the_rest(
    web: HttpServer, tmp_path: Path, end: str, body: bytes
) -> None:
    web.answers = server = serve(body)
    here = Path(__file__).parent
    child = _KILLED.format(
        paths=[str(here), str(here.parents[1])], url=web.url, folder=str(tmp_path), end=end
    )
    killed = subprocess.run([sys.executable, "-c", child], timeout=120, check=False)
    assert killed.returncode == -9
    assert "Range" not in web.asked[0].headers
    assert sorted(p.name.count(".json") for p in (tmp_path / "tmp").iterdir()) == [0, 1]
    check(fetch(web, tmp_path, end), tmp_path, body, TEXT)
    assert web.asked[1].headers["Range"] == f"bytes={3 * MIB}-"
    assert server.sent[1:] == [len(body) - 3 * MIB]


def broken_off(web: HttpServer, tmp_path: Path, server: FileServer) -> None:
    """A try that ended, and left what had come."""
    server.breaks = [BREAK]
    web.answers = server
    with pytest.raises(TransientError, match=r"broke off after 3,146,728 bytes of 5,2"):
        fetch(web, tmp_path, "csv")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(
    web: HttpServer, tmp_path: Path, ranges: bool
) -> None:
    server = serve(TEXT)
    broken_off(web, tmp_path, server)
    server.body, server.ranges = OTHER, ranges
    server.headers |= {"ETag": '"two"', "Last-Modified": LATER}
    check(fetch(web, tmp_path, "csv"), tmp_path, OTHER, OTHER)
    assert server.sent[-1] == len(OTHER)


def test_a_server_that_ignores_ranges_sends_all_again(web: HttpServer, tmp_path: Path) -> None:
    server = serve(TEXT, ranges=False)
    broken_off(web, tmp_path, server)
    broken_off(web, tmp_path, server)
    check(fetch(web, tmp_path, "csv"), tmp_path, TEXT, TEXT)
    assert server.sent == [BREAK, BREAK, len(TEXT)]


@pytest.mark.parametrize(
    ("start", "size", "etag", "status"),
    [
        (BREAK, len(TEXT), '"two"', 206),
        (MIB, len(TEXT), '"one"', 206),
        (BREAK, len(TEXT) + 1, '"one"', 206),
        (BREAK, len(TEXT), '"one"', 416),
    ],
)
def test_parts_that_do_not_fit_are_not_joined(
    web: HttpServer, tmp_path: Path, start: int, size: int, etag: str, status: int
) -> None:
    server = serve(TEXT)
    broken_off(web, tmp_path, server)
    headers = {"ETag": etag, "Content-Range": f"bytes {start}-{size - 1}/{size}"}
    wrong = Answer(OTHER[start:], status, headers)
    web.answers = lambda request: wrong if "Range" in request.headers else server(request)
    check(fetch(web, tmp_path, "csv"), tmp_path, TEXT, TEXT)
    assert len(web.asked) == 3


def test_a_part_stays_while_the_server_is_down(web: HttpServer, tmp_path: Path) -> None:
    server = serve(TEXT)
    broken_off(web, tmp_path, server)
    web.answer(Answer(status=503))
    with pytest.raises(TransientError, match="answered 503"):
        fetch(web, tmp_path, "csv")
    web.answers = server
    check(fetch(web, tmp_path, "csv"), tmp_path, TEXT, TEXT)
    assert server.sent[-1] == len(TEXT) - BREAK


def test_nothing_stays_of_a_file_that_is_gone(web: HttpServer, tmp_path: Path) -> None:
    broken_off(web, tmp_path, serve(TEXT))
    web.answer(Answer(status=404))
    with pytest.raises(SourceAbsent):
        fetch(web, tmp_path, "csv")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_part_that_makes_a_damaged_file_is_not_used_again(
    web: HttpServer, tmp_path: Path
) -> None:
    body = gzip.compress(TEXT, 0)
    web.answers = server = serve(body, breaks=[BREAK])
    with pytest.raises(TransientError):
        fetch(web, tmp_path, "csv.gz")
    (part,) = (p for p in (tmp_path / "tmp").iterdir() if p.suffix != ".json")
    content = bytearray(part.read_bytes())
    content[2 * MIB] ^= 1
    part.write_bytes(content)
    with pytest.raises(SourceError, match="damaged"):
        fetch(web, tmp_path, "csv.gz")
    check(fetch(web, tmp_path, "csv.gz"), tmp_path, body, TEXT)
    assert server.sent[-1] == len(body)


@pytest.mark.parametrize(
    "headers",
    [
        {"Last-Modified": LATE, "Date": LATER, "ETag": 'W/"weak"'},
        {"Last-Modified": LATE, "Date": LATE},  # it may have changed again in that second
        {"Last-Modified": "yesterday", "Date": LATER},
    ],
)
def test_without_a_strong_validator_nothing_is_kept(
    web: HttpServer, tmp_path: Path, headers: dict[str, str]
) -> None:
    broken_off(web, tmp_path, FileServer(TEXT, headers))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_was_written_before_the_machine_restarted_is_not_trusted(
    web: HttpServer, tmp_path: Path
) -> None:
    server = serve(TEXT)
    broken_off(web, tmp_path, server)
    (beside,) = (tmp_path / "tmp").glob("*.json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"boot": "another"}))
    check(fetch(web, tmp_path, "csv"), tmp_path, TEXT, TEXT)
    assert server.sent[-1] == len(TEXT)


def test_a_part_that_another_process_holds_is_left_alone(web: HttpServer, tmp_path: Path) -> None:
    server = serve(TEXT)
    broken_off(web, tmp_path, server)
    (part,) = (p for p in (tmp_path / "tmp").iterdir() if p.suffix != ".json")
    held = os.open(part, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        day = fetch(web, tmp_path, "csv")
    finally:
        os.close(held)
    assert day.content_hash == hashlib.sha256(TEXT).hexdigest()
    assert (part.stat().st_size, server.sent[-1]) == (BREAK, len(TEXT))


def test_a_whole_part_is_confirmed_by_its_last_byte(web: HttpServer, tmp_path: Path) -> None:
    server = serve(TEXT)
    broken_off(web, tmp_path, server)
    (part,) = (p for p in (tmp_path / "tmp").iterdir() if p.suffix != ".json")
    part.write_bytes(TEXT + b"too much")
    check(fetch(web, tmp_path, "csv"), tmp_path, TEXT, TEXT)
    assert server.sent[-1] == 1


def test_credentials_are_not_written_down(web: HttpServer, tmp_path: Path) -> None:
    web.answers = serve(TEXT, breaks=[BREAK])
    source = lt.Http(f"http://me:hush-hush@{web.address}/{{date}}.csv?key=hush-hush", timeout=20)
    catalog = Catalog(LocalStore(tmp_path / "lake"))
    with pytest.raises(TransientError):
        ingest(Lines(source), DAY, catalog, ONCE, tmp_path / "tmp", lambda *_: None)
    (beside,) = (tmp_path / "tmp").glob("*.json")
    assert "hush" not in beside.read_text() + beside.name
