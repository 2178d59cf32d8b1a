"""The download against a real HTTP server on loopback that misbehaves on demand."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from http_server import Answer, HttpServer, http_server

import luigi_traffic as lt
from luigi_traffic.errors import DataError, SourceAbsent, SourceError, TransientError
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings

DAY = date(2012, 3, 28)
TEXT = b"time,link,speed\n" + b"".join(b"08:00,l%d,50\n" % n for n in range(5000))
QUICK = IngestSettings(attempts=3, backoff_seconds=0.01, settle_seconds=0)
SECRET = "hush-hush"


def packed(text: bytes = TEXT) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo("day.csv")  # of a fixed time: the same bytes at every call
        archive.writestr(member, text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def broken() -> Answer:
    """An archive behind which more is announced, and the connection ends."""
    return Answer(packed(), size=len(packed()) + 500)


def coding(how: str) -> dict[str, str]:
    """The headers of an answer that is "encoded" so."""
    return {"Content-Encoding": how.split()[1]} if how.startswith("encoded") else {}


@pytest.fixture
def web() -> Iterator[HttpServer]:
    with http_server(Answer()) as web:
        yield web


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(LocalStore(tmp_path / "lake"))


class Web5Minutes(lt.Dataset):
    name, version, interval, timezone, speed_unit = "web", "1", timedelta(minutes=5), "UTC", "km/h"

    def __init__(self, source: lt.Source) -> None:
        super().__init__(self.Settings())
        self._source = source

    def source(self) -> lt.Source:
        return self._source

    def header(self, first_line: str) -> bool:
        if not first_line.startswith(("time", "0")):
            raise DataError(f"neither header nor row: {first_line!r}")
        return first_line.startswith("time")

    def bronze(self, spark, raw):
        raise AssertionError

    def silver(self, bronze):
        raise AssertionError


def fetch(
    catalog: Catalog, tmp_path: Path, source: lt.Source, limits: IngestSettings = QUICK, told=None
) -> Ingested:
    def progress(done: int, size: int | None, what: str) -> None:
        if told is not None:
            told.append((done, size, what))

    return ingest(Web5Minutes(source), DAY, catalog, limits, tmp_path / "tmp", progress)


def of(web: HttpServer, more: str = "") -> lt.HttpZip:
    return lt.HttpZip(f"{web.url}/{{year}}/{{date}}.zip{more}", timeout=5)


@pytest.mark.parametrize(
    ("name", "body", "how"),
    [
        ("{date}.csv", TEXT, ""),
        ("{date}.csv", gzip.compress(TEXT), "encoded gzip"),
        ("{date}.csv.zip", packed(), ""),
        ("{date}.csv.gz", gzip.compress(TEXT), ""),
        ("{date}.csv.gz", gzip.compress(TEXT), "chunked"),
        # What some servers make of a .gz: requests has unpacked it when it comes to us.
        ("{date}.csv.gz", gzip.compress(TEXT), "encoded gzip"),
        ("{date}.csv.gz", gzip.compress(TEXT), "encoded x-gzip"),
        ("day?of={date}&as=.zip", TEXT, ""),
    ],
)
def test_the_end_of_the_name_says_how_it_is_packed(
    web: HttpServer, catalog: Catalog, tmp_path: Path, name: str, body: bytes, how: str
) -> None:
    web.answer(Answer(body, chunked=how == "chunked", headers=coding(how)))
    day = fetch(catalog, tmp_path, lt.Http(f"{web.url}/{name}", timeout=5))
    text = b"".join(gzip.decompress(catalog.store.read(file.key)) for file in day.files)
    assert text == TEXT.partition(b"\n")[2]
    assert web.paths == ["/" + name.format(date="20120328")]


def test_data_lie_below_the_lake_prefix_of_their_dataset(
    web: HttpServer, catalog: Catalog, tmp_path: Path
) -> None:
    web.answer(Answer(packed()))
    dataset = Web5Minutes(of(web))
    dataset.settings = lt.DatasetSettings(lake_prefix="korea/roads")
    day = ingest(dataset, DAY, catalog, QUICK, tmp_path / "tmp", lambda *_: None)
    assert day.attempt.prefix.startswith("korea/roads/raw/web/2012-03-28/")
    assert all(file.key.startswith(day.attempt.prefix) for file in day.files)


def left(tmp_path: Path) -> list[Path]:
    """Files in the lake, and in the spool folder."""
    return [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_day_arrives_whole(web: HttpServer, catalog: Catalog, tmp_path: Path) -> None:
    web.answer(Answer(packed()))
    day = fetch(catalog, tmp_path, of(web))
    assert web.paths == ["/2012/20120328.zip"]
    text = b"".join(gzip.decompress(catalog.store.read(file.key)) for file in day.files)
    assert text == TEXT.partition(b"\n")[2]
    assert (day.lines, day.header, day.first_line) == (5000, "time,link,speed", "08:00,l0,50")
    assert day.text_bytes == len(TEXT)
    digest = hashlib.sha256(packed()).hexdigest()
    assert day.content_hash == digest
    assert day.archives == [
        {
            "name": "20120328.zip",
            "origin": f"{web.url}/2012/20120328.zip",
            "bytes": len(packed()),
            "sha256": digest,
        }
    ]
    assert list((tmp_path / "tmp").iterdir()) == []
    assert all(file.key.startswith(day.attempt.prefix) for file in day.files)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_failure_is_tried_again(
    web: HttpServer, catalog: Catalog, tmp_path: Path, status: int,
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    web.answer(Answer("busy", status), Answer("busy", status), Answer(packed()))
    assert fetch(catalog, tmp_path, of(web)).lines == 5000
    assert len(web.paths) == 3
    assert f"1: web 2012-03-28: {web.url}/2012/20120328.zip answered {status}" in caplog.text
    assert "attempt 2" in caplog.text


def test_it_gives_up_with_the_reason(web: HttpServer, catalog: Catalog, tmp_path: Path) -> None:
    web.answer(Answer(status=503))
    with pytest.raises(TransientError, match=r"web 2012-03-28: .*answered 503 Service Unavailable"):
        fetch(catalog, tmp_path, of(web))
    assert len(web.paths) == QUICK.attempts
    assert left(tmp_path) == []


def test_a_body_that_breaks_off_is_no_archive(
    web: HttpServer, catalog: Catalog, tmp_path: Path
) -> None:
    web.answer(broken(), Answer(packed()))
    day = fetch(catalog, tmp_path, of(web))
    assert day.content_hash == hashlib.sha256(packed()).hexdigest()
    assert {p.relative_to(tmp_path / "lake").as_posix() for p in left(tmp_path)} == {
        file.key for file in day.files
    }
    web.answer(broken())
    with pytest.raises(TransientError, match="broke off"):
        fetch(catalog, tmp_path, of(web))


def test_a_body_of_unknown_size(web: HttpServer, catalog: Catalog, tmp_path: Path) -> None:
    web.answer(Answer(packed(), chunked=True))
    with of(web).open(DAY) as streams:
        (stream,) = streams
        assert stream.size is None
        assert b"".join(stream.chunks) == packed()
    assert fetch(catalog, tmp_path, of(web)).lines == 5000


@pytest.mark.parametrize("status", [404, 410])
def test_a_day_that_is_not_there(
    web: HttpServer, catalog: Catalog, tmp_path: Path, status: int
) -> None:
    web.answer(Answer("<html>", status))
    with pytest.raises(SourceAbsent, match=f"answered {status}"):
        fetch(catalog, tmp_path, of(web))
    assert len(web.paths) == 1
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(status=401), "answered 401"),
        (Answer(status=403), "answered 403 Forbidden, expected 200"),
        (Answer(status=204), "answered 204"),
        (Answer("<html>please log in</html>"), "HTML"),
        (Answer(packed()[:-30]), "cut short"),
        (Answer(), "empty file"),
    ],
)
def test_an_answer_that_is_no_day_is_final(
    web: HttpServer, catalog: Catalog, tmp_path: Path, answer: Answer, message: str
) -> None:
    web.answer(answer)
    with pytest.raises(SourceError, match=f"web 2012-03-28: (.|\n)*{message}"):
        fetch(catalog, tmp_path, of(web))
    assert len(web.paths) == 1
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "limits", "error"),
    [
        (b"nonsense\n", QUICK, DataError),
        (TEXT + b"08:00,\xff,1\n", QUICK, DataError),
        (TEXT, QUICK.model_copy(update={"max_bytes": 1000}), SourceError),
    ],
)
def test_nothing_stays_of_a_day_that_is_refused(
    web: HttpServer,
    catalog: Catalog,
    tmp_path: Path,
    text: bytes,
    limits: IngestSettings,
    error: type,
) -> None:
    web.answer(Answer(packed(text)))
    with pytest.raises(error):
        fetch(catalog, tmp_path, of(web), limits)
    assert left(tmp_path) == []


def test_a_server_that_is_not_there(catalog: Catalog, tmp_path: Path) -> None:
    source = lt.HttpZip(f"http://me:{SECRET}@127.0.0.1:1/{{date}}.zip?token={SECRET}")
    with pytest.raises(
        TransientError, match=r"http://127\.0\.0\.1:1/20120328\.zip: .*refused"
    ) as e:
        fetch(catalog, tmp_path, source)
    assert SECRET not in str(e.value)


def test_credentials_are_used_and_never_told(
    web: HttpServer, catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    source = lt.HttpZip(f"http://me:{SECRET}@{web.address}/{{date}}.zip?token={SECRET}", timeout=5)
    web.answer(Answer(status=503), broken(), Answer(packed()))
    day = fetch(catalog, tmp_path, source)
    assert web.asked[-1].headers["Authorization"] is not None
    assert web.paths[-1] == f"/20120328.zip?token={SECRET}"
    told = json.dumps([day.archives, source.recipe()]) + caplog.text
    assert "127.0.0.1" in told
    assert SECRET not in told
    for answer in (Answer(status=403), Answer(status=404), Answer("<html>")):
        web.answer(answer)
        with pytest.raises((SourceError, SourceAbsent)) as error:
            fetch(catalog, tmp_path, source)
        assert SECRET not in str(error.value)


def test_several_files_a_day_are_one_content(catalog: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "20120328-a.csv").write_bytes(b"time,link,speed\n08:00,a,1\n")
    (folder / "20120328-b.ZIP").write_bytes(packed(b"time,link,speed\n08:05,a,2"))
    (folder / "20120329-a.csv").write_bytes(b"another day\n")
    source = lt.Files(str(folder / "{date}-*"))
    day = fetch(catalog, tmp_path, source)
    text = b"".join(gzip.decompress(catalog.store.read(file.key)) for file in day.files)
    assert text == b"08:00,a,1\n08:05,a,2\n"
    assert [a["name"] for a in day.archives] == ["20120328-a.csv", "20120328-b.ZIP"]
    (folder / "20120328-a.csv").write_bytes(b"time,link,speed\n08:00,a,3\n")
    assert fetch(catalog, tmp_path, source).content_hash != day.content_hash


def test_progress_is_told_with_what_is_known(
    web: HttpServer, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr("luigi_traffic.ingest.stream_text.time.monotonic", lambda: next(clock))
    web.answer(Answer(packed()))
    told: list = []
    fetch(catalog, tmp_path, of(web), told=told)
    assert told[0] == (len(packed()), len(packed()), "20120328.zip")
    assert told[-1] == (len(TEXT), None, "unpacking 20120328.zip")


NOTHING = '{"resultCode": "03", "resultMsg": "NoData"}'


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (NOTHING.encode(), "NoData"),
        ("<msg>데이터 없음</msg>".encode("cp949"), "데이터 없음"),
        ("<msg>데이터 없음</msg>".encode(), "데이터 없음"),
        (json.dumps({"msg": "데이터 없음"}).encode(), "데이터 없음"),
    ],
)
@pytest.mark.parametrize("how", ["", "chunked", "encoded gzip"])
def test_a_source_that_says_nothing_with_status_200(
    web, catalog, tmp_path, body: bytes, text: str, how: str
) -> None:
    sent = gzip.compress(body) if how == "encoded gzip" else body
    web.answer(Answer(sent, chunked=how == "chunked", headers=coding(how)))
    url = f"{web.url}/{{date}}.zip"
    as_text = lt.Http(url, packing="none", absent=[text])
    for source in (lt.HttpZip(url, absent=["x", text]), as_text):
        with pytest.raises(SourceAbsent, match="has nothing: it answered"):
            fetch(catalog, tmp_path, source)
    with pytest.raises(SourceError, match="expected a ZIP archive"):
        fetch(catalog, tmp_path, lt.HttpZip(url, absent=["other"]))


def test_a_long_answer_is_data_whatever_it_holds(web, catalog, tmp_path) -> None:
    text = b"time,NoData\n" + b"00:00,1\n" * 600
    web.answer(Answer(text))
    source = lt.Http(f"{web.url}/{{date}}.csv", absent=["NoData"])
    assert fetch(catalog, tmp_path, source).lines == 600


def test_wanted_members_of_an_archive(catalog, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    archive = tmp_path / "in" / f"{DAY:%Y%m%d}.zip"
    for second, said in (("time,v\n", None), ("time,w\n", "b.csv: its header 'time,w' differs")):
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("b.csv", second + "00:05,2\n")
            file.writestr("a.csv", "time,v\n00:00,1\n")
            file.writestr("readme.txt", "what it is")
        os.utime(archive, (1, 1))
        for source in (
            lt.Files(f"{tmp_path}/in/{{date}}*.zip", members="*.csv"),
            lt.HttpZip(f"file://{tmp_path}/in/{{date}}.zip", members="*.csv"),
        ):
            assert source.recipe() == {"packing": "zip", "members": "*.csv"}
            if said:
                with pytest.raises(DataError, match=said):
                    fetch(catalog, tmp_path, source)
                continue
            got = fetch(catalog, tmp_path, source)
            assert (got.header, got.lines, got.first_line) == ("time,v", 2, "00:00,1")
