"""URL templates, credentials and files; the HTTP side is in ingest/test_download.py."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest

from luigi_traffic.api.builtin_sources import Files, Http, HttpZip, fill, without_credentials
from luigi_traffic.api.source import Source
from luigi_traffic.errors import SettingsError, SourceAbsent, SourceError

DAY = date(2012, 3, 8)


def read(source: Source) -> list[tuple[str, bytes]]:
    with source.open(DAY) as streams:
        return [(stream.name, b"".join(stream.chunks)) for stream in streams]


def test_the_template_is_filled_with_padded_parts() -> None:
    assert fill("{year}/{month}/{day}/{date}_5Min.zip", DAY) == "2012/03/08/20120308_5Min.zip"
    with pytest.raises(SettingsError, match=r"\{dat\}.*Did you mean 'date'"):
        fill("x/{dat}.zip", DAY)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host:8/a/b.zip?key=pw#x", "https://host:8/a/b.zip"),
        ("https://me:p@w@host/a", "https://host/a"),
        ("http://host/{date}.zip", "http://host/{date}.zip"),
        ("file:///data/{date}.zip", "file:///data/{date}.zip"),
    ],
)
def test_a_url_for_people_holds_no_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/a.zip?city=A", "https://h/a.zip?city=B", False),
        ("https://h/a.zip", "https://h/b.zip", False),
        ("https://me:pw@h/a.zip", "https://h/a.zip", True),
    ],
)
def test_what_is_asked_for_is_the_address_and_no_part_of_the_recipe(one, other, same) -> None:
    first, second = HttpZip(one), HttpZip(other)
    assert (first.address() == second.address()) == same
    assert "pw" not in str(first.address())
    assert first.recipe() == second.recipe() == {"packing": "zip"}


def test_an_archive_that_moves_from_a_server_to_a_folder_keeps_its_recipe() -> None:
    recipes = [Http("https://h/{date}.gz"), Files("/data/{date}.gz"), Http("file:///d/{date}.gz")]
    assert [source.recipe() for source in recipes] == [{"packing": "gzip"}] * 3
    assert len({str(source.address()) for source in recipes}) == 3


def test_an_archive_by_file_url(tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    source = HttpZip(f"{folder.as_uri()}/{{date}}.zip")
    with pytest.raises(SourceAbsent, match=r"no such file: .*two words/20120308\.zip"):
        read(source)
    (folder / "20120308.zip").write_bytes(b"PK")
    assert read(source) == [("20120308.zip", b"PK")]
    (folder / "20120308.zip").unlink()
    (folder / "20120308.zip").mkdir()
    with pytest.raises(SourceError, match="cannot read"):
        read(source)


@pytest.mark.parametrize("name", ["My Data", "바탕화면", "a#b?c", "100%", "a%20b", "[a] {{b}}"])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str, encoded: bool) -> None:
    """As it is written, or as a browser shows it."""
    folder = tmp_path / name.format()
    folder.mkdir()
    (folder / "20120308.csv.gz").write_bytes(b"GZ")
    address = f"file://{quote(str(tmp_path / name), safe='/{}') if encoded else tmp_path / name}"
    source = Http(f"{address}/{{date}}.csv.gz")
    assert source.recipe() == {"packing": "gzip"}
    assert read(source) == [("20120308.csv.gz", b"GZ")]
    assert source.look(DAY) is not None
    assert read(Files(f"{tmp_path / name}/{{date}}*.gz")) == [("20120308.csv.gz", b"GZ")]


@pytest.mark.parametrize("url", ["file://data/{date}.zip", "file://~/{date}.zip"])
def test_a_relative_file_url_says_what_to_write(url: str) -> None:
    with pytest.raises(SettingsError, match="write file:// and the path from the root"):
        read(Http(url))


def test_a_scheme_nobody_knows() -> None:
    with pytest.raises(SettingsError, match="'ftp' is not one of http, https and file"):
        read(HttpZip("ftp://host/{date}.zip"))


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("20120308-b.csv", "20120308-a.csv", "20120309-a.csv"):
        (tmp_path / name).write_text(name)
    (tmp_path / "20120308-c.csv").mkdir()
    source = Files(str(tmp_path / "{date}-*.csv"))
    assert read(source) == [(n, n.encode()) for n in ("20120308-a.csv", "20120308-b.csv")]
    with source.open(DAY) as streams:
        stream = next(streams)
        assert (stream.size, stream.packing) == (14, "none")
        assert stream.origin == (tmp_path / "20120308-a.csv").as_uri()


def test_no_files_is_absent(tmp_path: Path) -> None:
    with pytest.raises(SourceAbsent, match=r"no file matches .*20120308\.csv"):
        read(Files(str(tmp_path / "{date}.csv")))
