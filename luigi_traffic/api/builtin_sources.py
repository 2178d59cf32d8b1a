"""The sources that come with the framework: one file a day by URL, files by glob."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from luigi_traffic.api.http_answer import REQUEST_HEADERS, Answer, UnknownLength, said_by
from luigi_traffic.api.nothing import refuse_absent
from luigi_traffic.api.open_file import file_stream, look_at
from luigi_traffic.api.part import opened_part
from luigi_traffic.api.source import Packing, Source, Stream
from luigi_traffic.errors import (
    SettingsError,
    SourceAbsent,
    SourceError,
    TransientError,
    did_you_mean,
)

if TYPE_CHECKING:
    import requests

log = logging.getLogger("luigi_traffic")
PLACEHOLDERS = ("year", "month", "day", "date")
_TRY_AGAIN = {408, 425, 429}
_ABSENT = {404, 410}
#: Servers that know no HEAD answer so.
_NO_HEAD = {405, 501}
_PACKINGS: dict[str, Packing] = {
    ".zip": "zip", ".gz": "gzip", ".parquet": "parquet", ".pq": "parquet", ".xlsx": "xlsx",
}  # fmt: skip


def packing_of(name: str) -> Packing:
    """How a file of that name is packed: zip, gzip, parquet, xlsx, or text as it is."""
    return _PACKINGS.get(Path(name).suffix.lower(), "none")


def packing_terms(packing: Packing) -> dict[str, Any]:
    """What a source's recipe says of its packing, and of how that is read."""
    read = {"int96": "instant"} if packing == "parquet" else {}
    return {"packing": packing} | read


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


def file_of(url: str) -> Path:
    """The file of a `file://` address, which is taken as it is written (blanks, `#` and `%` are a
    name's own); if there is no such file, percent signs are those of an encoded address.

    Raises `SettingsError` for a relative path.
    """
    path = url.removeprefix("file://").removeprefix("localhost")
    if not path.startswith("/"):
        raise SettingsError(
            f"{url!r} is not a whole address: write file:// and the path from the root, for "
            "example file:///data/its/{date}.zip"
        )
    written = Path(path)
    return written if written.exists() else Path(unquote(path))


def _path_of(url: str) -> str:
    """The path of an address; a file's may hold `#` and `?`."""
    return url if url.startswith("file:") else urlsplit(url).path


def _reason(error: Exception) -> str:
    """What went wrong, without the URL that requests puts into its messages."""
    inner = error.args[0] if error.args else None
    return str(getattr(inner, "reason", None) or error.__class__.__name__)


class Http(Source):
    """One file a day behind a URL template: text, .zip with one text file inside, .gz, .parquet,
    .xlsx.

    `url_template` may use http, https or file, with {year}, {month}, {day}, {date}. `packing`
    is told by the end of the URL's path where it is not given. Text whose length a server
    does not say is refused unless `unknown_length` is "accept": it could be cut. `members` is a
    pattern of the wanted files of a ZIP (see `Stream`). `absent`: how the source says that it has
    nothing, though with status 200: an answer of at most 4 KiB with one of these texts is
    `SourceAbsent`.
    """

    _parts: Path | None = None

    def __init__(
        self,
        url_template: str,
        *,
        packing: Packing | None = None,
        timeout: float = 60.0,
        unknown_length: UnknownLength = "refuse",
        members: str | None = None,
        absent: Sequence[str] = (),
    ) -> None:
        self.url_template = url_template
        self.members = members
        self.absent = tuple(absent)
        self.timeout = timeout
        self.unknown_length = unknown_length
        self.packing: Packing = packing or packing_of(_path_of(url_template))

    def keep_parts(self, folder: Path) -> None:  # noqa: D102
        self._parts = folder

    def recipe(self) -> dict[str, Any]:
        """How its files are packed, and which members of an archive are read."""
        return packing_terms(self.packing) | _members(self.members)

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
                f"url_template {self.url_template!r}: the scheme {scheme!r} is not one of http, "
                "https and file. Write a folder as file:///data/its/{date}.zip"
            )

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """Size and time of a file, ETag and Last-Modified by HEAD; None if the server has neither,
        or no HEAD."""
        url = fill(self.url_template, day)
        if urlsplit(url).scheme == "file":
            return [look_at(file_of(url))]
        import requests

        shown = without_credentials(url)
        try:
            answer = requests.head(
                url, timeout=(10, self.timeout), headers=REQUEST_HEADERS, allow_redirects=True
            )
        except requests.RequestException as e:
            raise TransientError(f"{shown}: {_reason(e)}") from e
        if answer.status_code in _NO_HEAD:
            return None
        _refuse(answer, shown)
        said = said_by(answer)
        return [said] if said else None

    @contextmanager
    def _open_file(self, url: str) -> Iterator[Stream]:
        path = file_of(url)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise SourceAbsent(f"no such file: {path}") from None
        except OSError as e:
            raise SourceError(f"cannot read {path}: {e.strerror}") from e
        with file:
            stream = file_stream(path, file, packing=self.packing, origin=url)
            chunks = refuse_absent(stream.chunks, self.absent, str(path))
            yield replace(stream, chunks=chunks, members=self.members)

    @contextmanager
    def _open_http(self, url: str) -> Iterator[Stream]:
        shown = without_credentials(url)
        with opened_part(self._parts, url) as part:
            answer = self._get(url, part.headers if part else {})
            if part and part.bytes and not part.continues(answer):
                part.bytes = 0
                if answer.status_code in (206, 416):  # its parts do not fit together
                    answer.close()
                    answer = self._get(url, {})
            with answer:
                said: Mapping[str, str | int]
                if part and part.bytes:
                    said = part.said
                    log.info("%s: %d bytes are kept, the rest is fetched", shown, part.bytes)
                else:
                    _refuse(answer, shown)
                    said = said_by(answer)
                    part = part if part and part.start(said, answer.headers) else None
                body = Answer(answer, shown, part)
                name = Path(urlsplit(url).path).name or "download"
                # Of an answer that is coded on its way, the length of the file is not known.
                whole = not body.coded or self.packing == "gzip"
                chunks = body.body(self.packing, self.unknown_length)
                yield Stream(
                    name,
                    refuse_absent(chunks, self.absent, shown),
                    body.length if whole else None,
                    packing=self.packing,
                    origin=shown,
                    said=said,
                    members=self.members,
                )

    def _get(self, url: str, more: Mapping[str, str]) -> requests.Response:
        import requests

        try:
            return requests.get(
                url, stream=True, timeout=(10, self.timeout), headers=REQUEST_HEADERS | dict(more)
            )
        except requests.RequestException as e:
            raise TransientError(f"{without_credentials(url)}: {_reason(e)}") from e


def _refuse(answer: requests.Response, shown: str) -> None:
    status = answer.status_code
    if status in _ABSENT:
        raise SourceAbsent(f"{shown} answered {status} {answer.reason}")
    if status >= 500 or status in _TRY_AGAIN:
        raise TransientError(f"{shown} answered {status} {answer.reason}")
    if status != 200:
        raise SourceError(f"{shown} answered {status} {answer.reason}, expected 200")


class HttpZip(Http):
    """One ZIP archive a day, with one text file inside, or several `members`, behind a URL template
    (see `Http`)."""

    def __init__(
        self,
        url_template: str,
        *,
        timeout: float = 60.0,
        members: str | None = None,
        absent: Sequence[str] = (),
    ) -> None:
        super().__init__(
            url_template, packing="zip", timeout=timeout, members=members, absent=absent
        )


class Files(Source):
    """Text files of a day in a folder: `glob` is a path with {year}, {month}, {day}, {date},
    and `*` in its last part.

    A file that is changed while it is read is a `TransientError`. `growing`: text may be
    appended to meanwhile; see `luigi_traffic.api.open_file`. `members` is a pattern of the wanted
    files of a ZIP (see `Stream`).
    """

    def __init__(
        self,
        glob: str,
        *,
        packing: Packing | None = None,
        growing: bool = False,
        members: str | None = None,
    ) -> None:
        self.glob = glob
        self.members = members
        self.packing = packing
        self.growing = growing

    def recipe(self) -> dict[str, Any]:
        """How its files are packed, as they are read: by their names if nothing else is said."""
        return packing_terms(self.packing or packing_of(self.glob)) | _members(self.members)

    def address(self) -> dict[str, Any]:
        """The glob."""
        return {"glob": str(Path(self.glob).expanduser().absolute())}

    def look(self, day: date) -> list[Mapping[str, str | int]] | None:
        """Name, size and time of each file."""
        pattern = Path(fill(self.glob, day)).expanduser()
        found = [look_at(path) for path in _files(pattern)]
        if not found:
            raise SourceAbsent(f"no file matches {pattern}")
        return found

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[Stream]]:
        """One stream a file, in the order of their names; packed ones are unpacked."""
        pattern = Path(fill(self.glob, day)).expanduser()
        paths = _files(pattern)
        if not paths:
            raise SourceAbsent(f"no file matches {pattern}")

        def streams() -> Iterator[Stream]:
            for path in paths:
                packing = self.packing or packing_of(path.name)
                with path.open("rb") as file:
                    stream = file_stream(
                        path,
                        file,
                        packing=packing,
                        origin=path.as_uri() if path.is_absolute() else str(path),
                        growing=self.growing and packing == "none",
                    )
                    yield replace(stream, members=self.members)
            if more := sorted(set(_files(pattern)) - set(paths)):
                raise TransientError(
                    f"{', '.join(p.name for p in more[:3])} appeared while the other files of the "
                    "day were read"
                )

        yield streams()


def _members(wanted: str | None) -> dict[str, str]:
    return {"members": wanted} if wanted is not None else {}


def _files(pattern: Path) -> list[Path]:
    return sorted(p for p in pattern.parent.glob(pattern.name) if p.is_file())
