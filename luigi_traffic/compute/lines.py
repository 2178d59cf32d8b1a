"""The lines of a raw day as Arrow batches, cut where a LF is and nowhere else.

A CSV reader would leave blank lines out, take a lone CR for a line end, and look at quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip

from luigi_traffic.api.dataset import RawDay
from luigi_traffic.api.scope import Outside
from luigi_traffic.ingest.archived_lines import archived_lines
from luigi_traffic.ingest.line_scope import LineScope, line_ends

#: What is made of a block of this size fits the processor's cache, and the system need not map
#: memory anew for each one: 8 MB took twice as long.
_BLOCK = 1 << 18


class Lines:
    """Its text files, gzip or not, and its archives as one column `line` of texts without their
    line ends, read anew by each scan. DuckDB finds it by the Arrow PyCapsule interface."""

    schema = pa.schema([("line", pa.large_string())])

    def __init__(self, raw: RawDay) -> None:
        """With a scope only the lines of its links; it is given the count of the others."""
        scope = raw.scope
        self._raw, self._paths = raw, [Path(path) for path in raw.paths]
        self._scope = LineScope(scope.links, scope.cell) if scope else None
        self._outside = Outside()
        if scope:
            scope.count(lambda: self._outside)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        """A stream from the first line on."""
        reader = pa.RecordBatchReader.from_batches(self.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        self._outside = Outside()
        for path in self._paths:
            opened: Any = igzip.open if path.suffix == ".gz" else open
            with opened(path, "rb") as file:
                rest = b""
                while block := file.read(_BLOCK):
                    text = rest + block
                    if len(block) < _BLOCK and not text.endswith(b"\n"):
                        text += b"\n"  # the end of the file: no batch for the last line alone
                    cut = text.rfind(b"\n") + 1
                    rest = text[cut:]
                    if cut:
                        yield self._batch(text[:cut])
                if rest:
                    yield self._batch(rest + b"\n")
        for archive in self._raw.archives:
            for text in archived_lines(archive, self._raw.header):
                yield self._batch(text)

    def _batch(self, text: bytes) -> pa.RecordBatch:
        """The lines of a text that ends with LF."""
        if self._scope:
            column, outside = self._scope.kept(text)
            self._outside += outside
            return pa.record_batch([column], schema=self.schema)
        ends = line_ends(text)
        offsets = np.zeros(len(ends) + 1, np.int64)
        # Without the LFs of the lines before. DuckDB would take 40 times as long to trim a line.
        offsets[1:] = ends - np.arange(len(ends))
        column = pa.LargeStringArray.from_buffers(
            len(ends), pa.py_buffer(offsets), pa.py_buffer(text.replace(b"\n", b""))
        )
        if b"\r" in text:
            column = pc.utf8_rtrim(column, "\r")
        return pa.record_batch([column], schema=self.schema)
