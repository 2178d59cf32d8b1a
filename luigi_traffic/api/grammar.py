r"""What a text must be to be a number or a time, as expressions that all engines and Python share.

They are meant for the whole of a text: `whole` for engines (`\z`; `$` would allow a line end
behind it in Java), `re.fullmatch` in Python.
"""

from __future__ import annotations

#: A decimal number.
DECIMAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
#: A whole number.
WHOLE = "-?[0-9]+"
#: A local time in ISO 8601: `2024-05-31 08:05`, with `T` or a blank, seconds and a fraction.
ISO = (
    r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})[T ]"
    r"(?P<H>\d{1,2}):(?P<M>\d{2})(:(?P<S>\d{2})(\.(?P<f>\d{1,9}))?)?"
)
#: The same with an offset from UTC.
ISO_OFFSET = (
    r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})[T ]"
    r"(?P<H>[01]\d|2[0-3]):(?P<M>\d{2})(:(?P<S>\d{2})(\.(?P<f>\d{1,9}))?)?"
    r" ?(Z|(?P<sign>[+-])(?P<hours>\d{2})(:?(?P<minutes>\d{2}))?)"
)
#: The end of a day, written as its 24th hour: midnight of the next day (ISO 8601:2004, 4.2.3).
HOUR_24 = r"[T ]24:00?(:00?(\.0+)?)?\z"
#: What stands around a cell and is no part of it.
BLANKS = " \t"
#: Seconds since 1970 up to the year 2100: what is outside is no time of ours.
UNIX_MOST = 4_102_444_800
#: Exact means and sums count in millionths.
SCALE = 1_000_000


def whole(expression: str) -> str:
    """The expression for an engine: of a text from its beginning to its end."""
    return rf"^(?:{expression})\z"


def compact(seconds: bool) -> str:
    """A time in digits alone, to the minute or the second."""
    return f"[1-9][0-9]{{{13 if seconds else 11}}}"


def cell(delimiter: str) -> str:
    """A cell of RFC 4180 and the (escaped) delimiter behind it; the cell is the first group."""
    return rf'([ \t]*"(?:[^"]|"")*"[ \t]*|[^{delimiter}]*){delimiter}'
