"""The body of an HTTP answer, and whether it is whole.

Read as it comes over the wire: the client library unpacks a coding (`Content-Encoding: gzip`)
that was cut short without a word.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from luigi_traffic.api.inflate import CHUNK_BYTES, gzip_member, texts
from luigi_traffic.api.part import Part
from luigi_traffic.api.source import Packing
from luigi_traffic.errors import SourceError, TransientError

if TYPE_CHECKING:
    import requests

#: What is asked for. Gzip checks itself, whatever the connection does.
REQUEST_HEADERS = {"Accept-Encoding": "gzip"}
UnknownLength = Literal["refuse", "accept"]

_GZIP = ("gzip", "x-gzip")


def said_by(answer: requests.Response) -> dict[str, str | int]:
    """What of an answer tells that its file has changed; nothing if the server does not say.

    A validator of RFC 9110 (ETag, Last-Modified), and the length with it.
    """
    names = {"ETag": "etag", "Last-Modified": "last_modified", "Content-Length": "length"}
    found = {key: answer.headers[name] for name, key in names.items() if name in answer.headers}
    if "Content-Encoding" in answer.headers:  # it is packed anew for each answer
        found.pop("length", None)
    return dict(found) if {"etag", "last_modified"} & found.keys() else {}


class Answer:
    """An answer with the whole of a file, or the rest of one, shown as `shown`.

    `part` keeps what comes; what it has kept already (of a status 206) comes first. None: nobody
    keeps it.
    """

    def __init__(self, answer: requests.Response, shown: str, part: Part | None = None) -> None:
        """Raises `SourceError` for a part of a file that was not asked for, or such a coding."""
        self._raw = answer.raw
        self._shown = shown
        self._part = part
        kept = part.bytes if part else 0
        self.coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if self.coding not in (*_GZIP, "identity", ""):
            raise SourceError(
                f"{shown} sent Content-Encoding {self.coding!r}; the request asked for gzip or none"
            )
        if not kept and (cut := answer.headers.get("Content-Range")):
            raise SourceError(f"{shown} sent only a part of the file (Content-Range: {cut})")
        coming: int | None = self._raw.length_remaining
        #: Bytes that are kept and on the wire, None if the answer does not say.
        self.length = None if coming is None else kept + coming
        self._chunked = bool(getattr(self._raw, "chunked", False))

    @property
    def coded(self) -> bool:
        """Whether the bytes on the wire are gzip by the answer's own coding."""
        return self.coding in _GZIP

    @property
    def framed(self) -> bool:
        """Whether HTTP says where the body ends: by a length, or by a last chunk."""
        return self.length is not None or self._chunked

    def wire(self) -> Iterator[bytes]:
        """The bytes as they come. Raises `TransientError` where they break off."""
        from urllib3.exceptions import HTTPError

        seen = 0
        for chunk in self._part.read() if self._part else ():
            seen += len(chunk)
            yield chunk
        try:
            for chunk in self._raw.stream(CHUNK_BYTES, decode_content=False):
                seen += len(chunk)
                if self._part:
                    self._part.add(chunk)
                yield chunk
        except HTTPError as e:
            of = f" of {self.length:,}" if self.length is not None else ""
            raise TransientError(
                f"{self._shown} broke off after {seen:,} bytes{of}: {e.__class__.__name__}"
            ) from e
        if self._part:
            self._part.remove()

    def decoded(self) -> Iterator[bytes]:
        """The bytes without the answer's coding.

        Raises `TransientError` or `SourceError` for what is no whole gzip.
        """
        return self._gunzipped() if self.coded else self.wire()

    def _gunzipped(self) -> Iterator[bytes]:
        # One member: the server makes it. What is inside is limited by the core.
        unpacker = None
        for chunk in self.wire():
            try:
                unpacker = unpacker or gzip_member(chunk)
                yield from texts(unpacker, chunk)
            except zlib.error as e:
                raise SourceError(f"{self._shown}: its gzip content is damaged: {e}") from e
            if unpacker.unused_data:
                raise SourceError(f"{self._shown} sent more data after its gzip content")
        if unpacker is None or not unpacker.eof:
            # A whole message with a cut body is kept like that by a server or a proxy.
            kind = SourceError if self.framed else TransientError
            raise kind(f"{self._shown}: its gzip content is cut short")

    def body(self, packing: Packing, unknown_length: UnknownLength) -> Iterator[bytes]:
        """The file's bytes, checked to be whole as far as can be known.

        ZIP, gzip and Parquet are checked where they are unpacked. Raises `SourceError` for text
        of unknown length if it is to be refused.
        """
        if packing == "gzip" and self.coded:
            return self.wire()  # the coding is the file's own: some servers take it for theirs
        if packing != "none" or self.coded or self.framed:
            return self.decoded()
        if unknown_length == "refuse":
            raise SourceError(
                f"{self._shown} does not say how long its text is (no Content-Length, no chunks, "
                "no gzip), so a part could not be distinguished from the whole. Let the server "
                "send the length or gzip, or accept what comes: unknown_length: accept (Http(…, "
                "unknown_length=…))"
            )
        return _with_last_line(self.wire(), self._shown)


def _with_last_line(chunks: Iterator[bytes], shown: str) -> Iterator[bytes]:
    """Raises `TransientError` where the last line does not end: nearly every cut is within one."""
    last = b"\n"
    for chunk in chunks:
        last = chunk[-1:]
        yield chunk
    if last != b"\n":
        raise TransientError(
            f"{shown} ended in the middle of a line, and does not say how long it is"
        )
