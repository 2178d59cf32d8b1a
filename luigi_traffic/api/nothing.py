"""How a source says with a successful answer that it has nothing: a short text, often JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain

from luigi_traffic.errors import SourceAbsent

#: An answer that is longer is data.
MOST_BYTES = 4096
_SHOWN = 200


def refuse_absent(chunks: Iterator[bytes], texts: Sequence[str], shown: str) -> Iterator[bytes]:
    """The chunks again. Raises `SourceAbsent` if they are short, and hold one of `texts`.

    A text is looked for in UTF-8, in CP949, and as JSON escapes it.
    """
    if not texts:
        return chunks
    head: list[bytes] = []
    for chunk in chunks:
        head.append(chunk)
        if sum(map(len, head)) > MOST_BYTES:
            return chain(head, chunks)
    whole = b"".join(head)
    for text in texts:
        if any(form in whole for form in _forms(text)):
            said = " ".join(whole.decode("utf-8", "replace").split())[:_SHOWN]
            raise SourceAbsent(f"{shown} has nothing: it answered {said!r}")
    return iter(head)


def _forms(text: str) -> Iterator[bytes]:
    yield text.encode()
    with suppress(UnicodeEncodeError):
        yield text.encode("cp949")
    yield json.dumps(text)[1:-1].encode()
