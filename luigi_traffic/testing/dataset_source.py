"""The source and the header: named streams of bytes, the same bytes on every try."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import SecretStr

from luigi_traffic.api.source import Source, Stream
from luigi_traffic.errors import DataError
from luigi_traffic.testing.sample import advised

if TYPE_CHECKING:
    from luigi_traffic.testing.sample import Sample

_SECRET = re.compile(r"pass(word|wd|phrase)|secret|token|api_?key|auth|credential|signature", re.I)
_LARGEST_CHUNK = 16 << 20
#: First lines that no dataset of road traffic has.
FOREIGN = (
    "<!DOCTYPE html><html><head><title>503 Service Unavailable</title></head>",
    '{"resultCode": "30", "resultMsg": "SERVICE KEY IS NOT REGISTERED ERROR."}',
    "lorem,ipsum,dolor,sit,amet",
    "\ufffd\ufffd\ufffd",
)


class SourceChecks:
    """Where the bytes come from."""

    sample: Sample

    def test_source_yields_streams_of_bytes(self) -> None:
        """Hashing, retries, size caps and unpacking are the core's: it needs bytes in pieces."""
        source, day = self._source(), self.sample.suite.day
        with source.open(day) as streams:
            count = 0
            for stream in streams:
                count += 1
                assert isinstance(stream, Stream) and stream.name, (
                    f"open() yields {stream!r}. Yield luigi_traffic.Stream objects with a name."
                )
                for chunk in stream.chunks:
                    assert isinstance(chunk, bytes), (
                        f"stream {stream.name!r} yields {type(chunk).__name__}. Yield bytes: "
                        "encode text as UTF-8."
                    )
                    assert len(chunk) <= _LARGEST_CHUNK, (
                        f"stream {stream.name!r} yields {len(chunk):,} bytes at once. Yield pieces "
                        "of a few MiB, so that no day has to fit into memory."
                    )
        assert count, f"open({day}) yields no stream. Raise SourceAbsent if the source has nothing."

    def test_source_recipe_is_json(self) -> None:
        """It decides which raw partitions are stale, so it must not change by itself."""
        self._says_the_same_twice("recipe")

    def test_source_address_is_json(self) -> None:
        """It decides which days are asked for again, so it must not change by itself."""
        self._says_the_same_twice("address")

    def _says_the_same_twice(self, method: str) -> None:
        said = [getattr(self._made_source(), method)() for _ in range(2)]
        try:
            texts = [json.dumps(one, sort_keys=True) for one in said]
        except TypeError as e:
            pytest.fail(
                f"{method}() of the source is not JSON: {e}. Return a dict of text, numbers, lists."
            )
        assert texts[0] == texts[1], (
            f"{method}() differs between two sources of the same settings: {texts[0]} and "
            f"{texts[1]}. Leave out times, random numbers and addresses of objects: after a change "
            "every day of the dataset is asked for again."
        )

    def test_source_recipe_holds_no_secret(self) -> None:
        """Recipes go into manifests, the ledger, events and MLflow."""
        settings = self.sample.dataset.settings
        values = {name: getattr(settings, name) for name in type(settings).model_fields}
        shown = {
            "recipe() of the source": self._made_source().recipe(),
            "recipe_terms('raw')": self.sample.dataset.recipe_terms("raw"),
            "recipe_terms('bronze')": self.sample.dataset.recipe_terms("bronze"),
        }
        secrets = [v.get_secret_value() for v in values.values() if isinstance(v, SecretStr)]
        secrets += [v for k, v in values.items() if isinstance(v, str) and _SECRET.search(k)]
        for where, what in shown.items():
            found = _secrets(what, [s for s in secrets if s])
            assert not found, (
                f"{where} holds what looks like a secret ({found[0]}). Leave it out: the bytes "
                "depend on the address without user, password, key or token. Give a secret "
                "setting stage=None."
            )

    def test_source_is_deterministic(self) -> None:
        """A day that is downloaded again is the same partition, by its sha256."""
        if self.sample.suite.text() is not None:
            pytest.skip("text() stands in for the source; its own bytes are not downloaded")
        first, again = self.sample.taken, self.sample.take("lake-again")
        assert first.content_hash == again.content_hash, (
            f"two downloads of {self.sample.suite.day} differ ({first.text_bytes:,} and "
            f"{again.text_bytes:,} bytes of text). The bytes of a past day must depend only on "
            "the settings and the day: seed random values by both, and leave out the current "
            "time."
        )

    def test_header_knows_what_the_source_sends(self) -> None:
        """The first line is a header or a row, and header() says which."""
        with advised(
            "header() of what the source sends", "Accept the header and the rows of this source."
        ):
            taken = self.sample.taken
        known = taken.header
        said = self.sample.dataset.header(known if known is not None else taken.first_line)
        assert said is (known is not None), (
            f"header() answers {said!r} for {(known or taken.first_line)!r}, and not the same "
            "twice. Return True or False, depending only on the line."
        )
        try:
            row = self.sample.dataset.header(taken.first_line)
        except DataError:
            row = False  # no row of this dataset comes without a header above it
        assert row is False, (
            f"header() says {row!r} of the data row {taken.first_line!r}. Compare with the column "
            "names; a row that is mistaken for a header is lost."
        )

    def test_header_refuses_foreign_lines(self) -> None:
        """An error page or another table never passes for the header."""
        for line in FOREIGN:
            with advised(
                f"header({line!r})", "Raise DataError for a line you do not know.", DataError
            ):
                try:
                    said = self.sample.dataset.header(line)
                except DataError:
                    continue
            assert said is False, (
                f"header() accepts {line!r} as a header: all rows below it would be read by "
                "columns that do not exist. Compare with the exact column names, and raise "
                "DataError for a line that is neither a header nor a row."
            )

    def _made_source(self) -> Source:
        source: Any = self.sample.suite.make_dataset(self.sample.folder).source()
        assert isinstance(source, Source), (
            f"source() returns {source!r}. Return a luigi_traffic.Source: HttpZip, Files or your "
            "own class."
        )
        return source

    def _source(self) -> Source:
        if self.sample.suite.text() is not None:
            pytest.skip("text() stands in for the source, which needs a network")
        return self._made_source()


def _secrets(value: Any, known: list[str], name: str = "") -> list[str]:
    """Where in a JSON value something looks like a secret, without saying it."""
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in _secrets(v, known, f"{name}.{k}".strip("."))]
    if isinstance(value, list | tuple):
        return [s for v in value for s in _secrets(v, known, name)]
    if not isinstance(value, str) or not value:
        return []
    last = name.rpartition(".")[2]
    if _SECRET.search(last) or any(s in value for s in known):
        return [f"the value of {name!r}"]
    if "://" in value:
        url = urlsplit(value)
        if "@" in url.netloc:
            return [f"user or password in the URL of {name!r}"]
        if any(_SECRET.search(k) or k.lower() in ("key", "sig") for k, _ in parse_qsl(url.query)):
            return [f"a key in the query of the URL of {name!r}"]
    return []
