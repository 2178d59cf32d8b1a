"""Names of headers that are no UTF-8, made readable below kafka-python.

Kafka's format says UTF-8 and no broker checks it. kafka-python raises at such a record, does not
say at which, and can read nothing that follows in the same batch. So its reader of a record is
given a second try, on a buffer that escapes what it cannot decode. Everything else of the record
is as it came: it can be buried as a whole, and what follows it is read.
"""

from __future__ import annotations

from typing import Any

from kafka.record.default_records import DefaultRecordBatch

_strict = DefaultRecordBatch._read_msg


class UndecodedName(str):
    r"""The name of a header that is no UTF-8: each byte that does not fit is written as `\xff`."""

    __slots__ = ()


class _Forgiving(bytes):
    """Bytes whose slices are decoded whatever they hold."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Forgiving(found) if isinstance(found, bytes) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        try:
            return super().decode(encoding, errors)
        except UnicodeDecodeError:
            return UndecodedName(super().decode(encoding, "backslashreplace"))


def _read(batch: Any) -> Any:
    """The next record. kafka-python moves on in its buffer only after it has read a whole one."""
    try:
        return _strict(batch)
    except UnicodeDecodeError:
        given = batch._buffer
        batch._buffer = _Forgiving(given)
        try:
            return _strict(batch)
        finally:
            batch._buffer = given


def tolerate() -> None:
    """From now on, consumers of this process deliver such records, with `UndecodedName`s."""
    DefaultRecordBatch._read_msg = _read
