"""The sources that come with the framework: one file a day by URL, files by glob."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from string import Formatter
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from luigi_traffic.errors import (
    SettingsError,
    SourceAbsent,
    SourceError,
    TransientError,
    did_you_mean,
)
from luigi_traffic.source import Packing, Source, Stream

CHUNK_BYTES = 1 << 20
PLACEHOLDERS = ("year", "month", "day", "date")
_TRY_AGAIN = {408, 425, 429}
_ABSENT = {404, 410}
_PACKINGS: dict[str, Packing] = {
    ".zip": "zip", ".gz": "gzip", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


def packing_of(name: str) -> Packing:
    """How a file of that name is packed: zip, gzip, parquet, or text as it is."""
    return _PACKINGS.get(Path(name).suffix.lower(), "none")


def fill(template: str, day: date) -> str:
    """The template with {year}, {month}, {day} (padded) and {date} (YYYYMMDD) filled in."""
    for _, name, _, _ in Formatter().parse(template):
        if name is not None and name not in PLACEHOLDERS:
            raise SettingsError(
                f"the template {template!r} has the placeholder {{{name}}}, which is not known."
                + did_you_mean(name, PLACEHOLDERS)
            )
    return template.format(
        year=f"{day:%Y}", month=f"{day:%m}", day=f"{day:%d}", date=f"{day:%Y%m%d}"
    )


def without_credentials(url: str) -> str:
    """The URL without user, password and query: fit for logs and manifests."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _reason(error: Exception) -> str:
    """What went wrong, without the URL that requests puts into its messages."""
    inner = error.args[0] if error.args else None
    return str(getattr(inner, "reason", None) or error.__class__.__name__)


def read_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of an open file, a chunk at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


class Http(Source):
    """One file a day behind a URL template: text, .zip with one text file inside, .gz, .parquet.

    `url_template` may use http, https or file, with {year}, {month}, {day}, {date}. `packing`
    is told by the end of the URL's path where it is not given.
    """

    def __init__(
        self, url_template: str, *, packing: Packing | None = None, timeout: float = 60.0
    ) -> None:
        self.url_template = url_template
        self.timeout = timeout
        self.packing: Packing = packing or packing_of(urlsplit(url_template).path)

    def recipe(self) -> dict[str, Any]:
        """How its files are packed."""
        return {"packing": self.packing}

    def address(self) -> dict[str, Any]:
        """The template with its query, without user and password."""
        parts = urlsplit(self.url_template)
        return {"url": urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))}

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """One stream: the day's file. 404 and 410 (a missing file) are `SourceAbsent`."""
        url = fill(self.url_template, day)
        scheme = urlsplit(url).scheme
        if scheme == "file":
            with self._open_file(url) as stream:
                yield iter([stream])
        elif scheme in ("http", "https"):
            with self._open_http(url) as stream:
                yield iter([stream])
        else:
            raise SettingsError(
                f"url_template {self.url_template!r}: the scheme {scheme!r} is not one of "
                "http, https, file. A folder is named like file:///data/its/{date}.zip"
            )

    @contextmanager
    def _open_file(self, url: str) -> Iterator[Stream]:
        path = Path(unquote(urlsplit(url).path))
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise SourceAbsent(f"no such file: {path}") from None
        except OSError as e:
            raise SourceError(f"cannot read {path}: {e.strerror}") from e
        with file:
            size = path.stat().st_size
            yield Stream(path.name, read_chunks(file), size, packing=self.packing, origin=url)

    @contextmanager
    def _open_http(self, url: str) -> Iterator[Stream]:
        import requests

        shown = without_credentials(url)
        try:
            answer = requests.get(url, stream=True, timeout=(10, self.timeout))
        except requests.RequestException as e:
            raise TransientError(f"{shown}: {_reason(e)}") from e
        with answer:
            status = answer.status_code
            if status in _ABSENT:
                raise SourceAbsent(f"{shown} answered {status} {answer.reason}")
            if status >= 500 or status in _TRY_AGAIN:
                raise TransientError(f"{shown} answered {status} {answer.reason}")
            if status != 200:
                raise SourceError(f"{shown} answered {status} {answer.reason}, expected 200")
            length = answer.headers.get("Content-Length", "")
            # A content encoding changes the length on the way; then the size is not known.
            encoding = answer.headers.get("Content-Encoding")
            encoded = encoding is not None
            size = int(length) if length.isdigit() and not encoded else None

            def chunks() -> Iterator[bytes]:
                try:
                    yield from answer.iter_content(CHUNK_BYTES)
                except requests.RequestException as e:
                    raise TransientError(f"{shown} broke off: {_reason(e)}") from e

            name = Path(urlsplit(url).path).name or "download"
            # Some servers take the .gz of a file for the encoding of the answer: then requests
            # has unpacked it.
            unpacked = self.packing == "gzip" and encoding in ("gzip", "x-gzip")
            packing: Packing = "none" if unpacked else self.packing
            yield Stream(name, chunks(), size, packing=packing, origin=shown)


class HttpZip(Http):
    """One ZIP archive a day, with one text file inside, behind a URL template (see `Http`)."""

    def __init__(self, url_template: str, *, timeout: float = 60.0) -> None:
        super().__init__(url_template, packing="zip", timeout=timeout)


class Files(Source):
    """Text files of a day in a folder: `glob` is a path with {year}, {month}, {day}, {date},
    and `*` in its last part."""

    def __init__(self, glob: str, *, packing: Packing | None = None) -> None:
        self.glob = glob
        self.packing = packing

    def recipe(self) -> dict[str, Any]:
        """How its files are packed, as they are read: by their names if nothing else is said."""
        return {"packing": self.packing or packing_of(self.glob)}

    def address(self) -> dict[str, Any]:
        """The glob."""
        return {"glob": str(Path(self.glob).expanduser().absolute())}

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """One stream a file, in the order of their names; .zip, .gz and .parquet are unpacked."""
        pattern = Path(fill(self.glob, day)).expanduser()
        paths = sorted(p for p in pattern.parent.glob(pattern.name) if p.is_file())
        if not paths:
            raise SourceAbsent(f"no file matches {pattern}")

        def streams() -> Iterator[Stream]:
            for path in paths:
                with path.open("rb") as file:
                    yield Stream(
                        path.name,
                        read_chunks(file),
                        path.stat().st_size,
                        packing=self.packing or packing_of(path.name),
                        origin=path.as_uri() if path.is_absolute() else str(path),
                    )

        yield streams()
