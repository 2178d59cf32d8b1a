"""The lines of a text that belong to some links, found without making a text of each line.

Most lines of a national file are of other links: 8 bytes at both ends of the link's cell are hashed
into a table of bits, and only what hits it is compared. Most files have the cell at the same place
of each line: lines like the first of a block are looked at there, the others cell by cell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from luigi_traffic.api import grammar
from luigi_traffic.api.scope import LinkCell, Outside

Positions = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

_LF, _QUOTE = b"\n"[0], b'"'
_MOST_BITS = 20
_NONE = np.empty(0, np.int64)
_FACTORS = [np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)]
#: The link's cell ends within so many bytes of a line, or lines are looked at cell by cell.
_HEAD = 64
#: One line of so many may be unlike the first.
_FEW = 16
_BLANKS = np.frombuffer(grammar.BLANKS.encode(), np.uint8)
#: Of a number of 8 bytes (little endian), its first n.
_FIRST = np.array([2 ** (8 * n) - 1 for n in range(9)], np.uint64)


class LineScope:
    """Finds the lines of some links in blocks of lines.

    A link is compared as `functions.cell` reads it: blanks and tabs around it do not count, and
    quotes are those of RFC 4180.
    """

    def __init__(self, links: tuple[str, ...], cell: LinkCell) -> None:
        self._cell, self._delimiter = cell, cell.delimiter.encode()
        self._links, self._known = pa.array(links, pa.large_string()), frozenset(links)
        ends = np.cumsum([len(link.encode()) for link in links])
        starts = ends - [len(link.encode()) for link in links]
        # A short list has a table that stays in the processor's cache.
        bits = min(len(links).bit_length() + 11, _MOST_BITS)
        self._hit = np.zeros(1 << bits, bool)
        nothing = np.empty((0, 0), bool)
        self._like: tuple[tuple[int, bytes], Marks, Marks] = (0, b""), nothing, nothing
        self._hit[self._hashes("".join(links).encode(), starts, ends)] = True

    def kept(self, text: bytes) -> tuple[pa.LargeStringArray, Outside]:
        """The lines of these links in a text that ends with LF, without their ends (LF, CRLF), and
        how many others there are. In any order."""
        place = None if _QUOTE in text else self._place(text[: text.index(b"\n")])
        return self._by_place(text, *place) if place else self._by_cells(text)

    def _place(self, line: bytes) -> tuple[int, int] | None:
        """Where a line without quotes has the link, if it is followed by another cell."""
        stop = -1
        for _ in range(self._cell.number + 1):
            start = stop + 1
            stop = line.find(self._delimiter, start, _HEAD)
            if stop < 0:
                return None
        return (start, stop) if start < stop else None

    def _by_place(self, text: bytes, start: int, stop: int) -> tuple[pa.LargeStringArray, Outside]:
        """Of a text without quotes, most lines of which have the link there."""
        ends = line_ends(text)
        begins = np.concatenate(([0], ends[:-1] + 1))
        heads = _gathered(text, begins, -(-stop // 8) * 8 + 8)
        odd = self._unlike_first(heads, stop)
        if len(short := np.flatnonzero(ends - begins <= stop)):
            odd = np.union1d(odd, short)
        if b" " in text or b"\t" in text:
            around = heads[:, [start, stop - 1]]
            odd = np.union1d(odd, np.flatnonzero(np.isin(around, _BLANKS).any(axis=1)))
        if len(odd) > len(ends) // _FEW:
            return self._by_cells(text)
        words, length = heads.view("<u8"), np.array([stop - start], np.uint64)
        front, back = (_eight(words, at) for at in (start, max(stop - 8, 0)))
        if stop - start < 8:
            front = back = front & _FIRST[stop - start]
        hit = self._hit[self._mixed(front, back, length)]
        hit[odd] = False
        at = np.flatnonzero(hit)
        at = at[self._wanted(_texts(text, begins[at] + start, begins[at] + stop))]
        lines = _lines(text, begins[at], ends[at])
        outside = Outside(len(ends) - len(odd) - len(at))
        if not len(odd):
            return lines, outside
        rest = b"".join(text[begins[line] : ends[line] + 1] for line in odd.tolist())
        more, others = self._by_cells(rest)
        return pa.concat_arrays([lines, more]), outside + others

    def _unlike_first(self, heads: npt.NDArray[np.uint8], stop: int) -> Positions:
        """Which lines do not have their delimiters where the first has them, up to the one after
        the link. `heads`: the first bytes of each line."""
        marks = heads == self._delimiter[0]
        key = (stop, marks[0].tobytes())
        if self._like[0] != key or len(self._like[1]) < len(marks):
            looked_at = np.arange(marks.shape[1]) <= stop
            # Whole rows of it: numpy would take them one by one otherwise.
            size = (len(marks) + _FEW, 1)
            self._like = key, np.tile(marks[0], size), np.tile(looked_at, size)
        _, first, looked_at = self._like
        marks ^= first[: len(marks)]
        marks &= looked_at[: len(marks)]
        # Lines are alike most of the time: of all at once that is known fast.
        return np.flatnonzero(marks.any(axis=1)) if marks.any() else _NONE

    def _by_cells(self, text: bytes) -> tuple[pa.LargeStringArray, Outside]:
        marks, first, last = _marks(text, self._delimiter[0])
        ends = marks[last]
        begins = np.concatenate(([0], ends[:-1] + 1))
        links, known = self._naive(text, marks, first, last, begins)
        if _QUOTE in text:
            quotes = np.flatnonzero(np.frombuffer(text, np.uint8) == _QUOTE[0])
            quoted = np.unique(np.searchsorted(ends, quotes))
            known[quoted] = False
        inside = np.zeros(len(ends), bool)
        empty = np.zeros(len(ends), bool)
        at = np.flatnonzero(known)
        starts, stops = links[0][at], links[1][at]
        empty[at] = starts == stops
        hit = np.flatnonzero(self._hit[self._hashes(text, starts, stops)] & (starts < stops))
        found = _texts(text, starts[hit], stops[hit])
        inside[at[hit]] = self._wanted(found)
        if _QUOTE in text:
            cells = pc.fill_null(self._quoted(_lines(text, begins[quoted], ends[quoted])), "")
            inside[quoted] = self._wanted(cells)
            empty[quoted] = pc.equal(cells, "").to_numpy(zero_copy_only=False)
            known[quoted] = True
        inside &= ~empty
        nothing = int(np.count_nonzero(empty | ~known))
        kept = int(np.count_nonzero(inside))
        outside = Outside(len(ends) - kept - nothing, nothing)
        return _lines(text, begins[inside], ends[inside]), outside

    def _hashes(self, text: bytes, starts: Positions, stops: Positions) -> Positions:
        """Places in the table of the texts between: equal texts, equal places."""
        padded = bytes(8) + text + bytes(8)
        eight = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))
        length = stops - starts
        front = eight[starts + 8] & _FIRST[np.minimum(length, 8)]
        back = np.where(length < 8, front, eight[stops])
        return self._mixed(front, back, length.astype(np.uint64))

    def _mixed(
        self,
        front: npt.NDArray[np.uint64],
        back: npt.NDArray[np.uint64],
        length: npt.NDArray[np.uint64],
    ) -> Positions:
        """The same of the first and last 8 bytes of texts, and their length."""
        mixed = front * _FACTORS[0] ^ back * _FACTORS[1] ^ length * _FACTORS[2]
        bits = len(self._hit).bit_length() - 1
        places: Positions = (mixed >> np.uint64(64 - bits)).view(np.int64)
        return places

    def _wanted(self, texts: pa.LargeStringArray) -> npt.NDArray[np.bool_]:
        if len(texts) < len(self._links):  # Arrow hashes all links anew for each call
            return np.array([text in self._known for text in texts.to_pylist()], bool)
        found: npt.NDArray[np.bool_] = pc.is_in(texts, self._links).to_numpy(zero_copy_only=False)
        return found

    def _naive(
        self, text: bytes, marks: Positions, first: Positions, last: Positions, begins: Positions
    ) -> tuple[tuple[Positions, Positions], npt.NDArray[np.bool_]]:
        """Begin and end of the link's cell in each line, as if no cell had quotes, without blanks
        around it; and which lines have such a cell."""
        number = self._cell.number
        known = first + number <= last
        end = np.minimum(first + number, last)
        stops = marks[end]
        starts = begins if number == 0 else marks[np.maximum(end - 1, 0)] + 1
        starts = np.minimum(starts, stops)
        bytes_ = np.frombuffer(text, np.uint8)
        if b"\r" in text:
            stops = _cut(bytes_, starts, stops, end == last, b"\r")
        if b" " in text or b"\t" in text:
            every = np.ones(len(stops), bool)
            stops = _cut(bytes_, starts, stops, every, grammar.BLANKS.encode())
            starts = _begun(bytes_, starts, stops, grammar.BLANKS.encode())
        return (starts, stops), known

    def _quoted(self, lines: pa.LargeStringArray) -> pa.Array:
        """The link's cell of lines that have quotes; NULL if there is no such cell."""
        delimiter = self._cell.delimiter
        end, nothing = (pa.scalar(text, pa.large_string()) for text in (delimiter, ""))
        rest = pc.binary_join_element_wise(lines, end, nothing)
        # One cell after another: an expression for all would look for other cells if they are few.
        cell = grammar.cell(f"\\x{{{ord(delimiter):x}}}").replace("(", "(?P<cell>", 1)
        one = rf"(?s)^{cell}(?P<rest>.*)\z"
        for _ in range(self._cell.number):
            rest = pc.struct_field(pc.extract_regex(rest, one), "rest")
        link = pc.struct_field(pc.extract_regex(rest, one), "cell")
        trimmed = pc.utf8_trim(link, grammar.BLANKS)
        quoted = pc.match_substring_regex(trimmed, r'(?s)^".*"$')
        quoted = pc.and_(quoted, pc.greater(pc.utf8_length(trimmed), 1))
        inner = pc.utf8_slice_codeunits(trimmed, 1, -1)
        inner = pc.utf8_trim(pc.replace_substring(inner, '""', '"'), grammar.BLANKS)
        return pc.if_else(quoted, inner, trimmed)


def _marks(text: bytes, delimiter: int) -> tuple[Positions, Positions, Positions]:
    """Where delimiters and line ends are, and of each line its first and last among them."""
    bytes_ = np.frombuffer(text, np.uint8)
    marks = np.flatnonzero((bytes_ == delimiter) | (bytes_ == _LF))
    last = np.flatnonzero(bytes_[marks] == _LF)
    return marks, np.concatenate(([0], last[:-1] + 1)), last


def line_ends(text: bytes) -> Positions:
    """Where the LFs of a text are."""
    return np.flatnonzero(np.frombuffer(text, np.uint8) == _LF)


def _gathered(text: bytes, begins: Positions, size: int) -> npt.NDArray[np.uint8]:
    """The bytes from each of these places on, (places, size)."""
    padded = text + bytes(size)
    # One thing of that many bytes: numpy copies it as fast as it would copy eight.
    every = np.ndarray((len(text) + 1,), f"V{size}", padded, strides=(1,))
    return every[begins].view(np.uint8).reshape(len(begins), size)


def _eight(words: npt.NDArray[np.uint64], at: int) -> npt.NDArray[np.uint64]:
    """The 8 bytes from a place on, of rows of words."""
    word, bits = at // 8, np.uint64(at % 8 * 8)
    if not bits:
        return words[:, word]
    return words[:, word] >> bits | words[:, word + 1] << np.uint64(64) - bits


def _cut(
    text: npt.NDArray[np.uint8], starts: Positions, stops: Positions,
    where: npt.NDArray[np.bool_], characters: bytes,
) -> Positions:  # fmt: skip
    """The ends of texts without these characters at their end."""
    stops, at = stops.copy(), np.flatnonzero(where & (starts < stops))
    while len(at):
        at = at[np.isin(text[stops[at] - 1], list(characters))]
        stops[at] -= 1
        at = at[starts[at] < stops[at]]
    return stops


def _begun(
    text: npt.NDArray[np.uint8], starts: Positions, stops: Positions, characters: bytes
) -> Positions:
    """The beginnings of texts without these characters in front."""
    starts, at = starts.copy(), np.flatnonzero(starts < stops)
    while len(at):
        at = at[np.isin(text[starts[at]], list(characters))]
        starts[at] += 1
        at = at[starts[at] < stops[at]]
    return starts


def _texts(text: bytes, starts: Positions, stops: Positions) -> pa.LargeStringArray:
    """The texts between these positions, which are in order."""
    if len(starts) < _FEW:
        pairs = zip(starts.tolist(), stops.tolist(), strict=True)
        return pa.array([text[a:b].decode() for a, b in pairs], pa.large_string())
    offsets = np.zeros(2 * len(starts) + 1, np.int64)
    offsets[:-1:2], offsets[1::2] = starts, stops
    offsets[2 * len(starts) :] = stops[-1] if len(stops) else 0
    every = pa.LargeStringArray.from_buffers(
        2 * len(starts), pa.py_buffer(offsets), pa.py_buffer(text)
    )
    return every.take(np.arange(0, 2 * len(starts), 2))


def _lines(text: bytes, begins: Positions, ends: Positions) -> pa.LargeStringArray:
    found = _texts(text, begins, ends)
    return pc.utf8_rtrim(found, "\r") if b"\r" in text else found
