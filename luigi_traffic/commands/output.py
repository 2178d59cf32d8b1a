"""How findings reach the terminal: as JSON for programs, drawn for people."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Row = dict[str, Any]
#: Of lines in a file or a pipe: what is searched there should not be folded.
_PIPED_WIDTH = 1000


def show(
    rows: Sequence[Row], as_json: bool, draw: Callable[[Sequence[Row], Console], None]
) -> None:
    """Print `rows`: as a JSON list and nothing else, or as `draw` draws them."""
    if as_json:
        typer.echo(json.dumps([plain(row) for row in rows], indent=1, ensure_ascii=False))
    else:
        draw(rows, console())


def console() -> Console:
    """Standard output; if it is not a terminal, without colours, and wide enough for any table."""
    from rich.console import Console

    piped = not sys.stdout.isatty() and not os.environ.get("COLUMNS")
    return Console(highlight=False, soft_wrap=False, width=_PIPED_WIDTH if piped else None)


def table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """A table without outer lines; columns named in `right` hold figures."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True,
        title=title, title_justify="left", title_style="bold",
    )  # fmt: skip
    for name in columns:
        justify: Any = "right" if name in right else "left"
        made.add_column(name, justify=justify, overflow="fold")
    return made


def text(value: Any, style: str = "") -> Text:
    """Text as it is: square brackets in it are no markup."""
    from rich.text import Text

    return Text("" if value is None else str(value), style=style)


def plain(value: Any) -> Any:
    """`value` as strict JSON has it: dates ISO, and NaN as text, as PostgreSQL's row_to_json."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else plain(float(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, memoryview | bytes):
        return bytes(value).hex()
    return str(value)


def short(number: float | None) -> str:
    """A count in at most five characters: 950, 59.6k, 1.2M."""
    if number is None:
        return ""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            shown = number / limit
            return f"{shown:.1f}{unit}" if shown < 100 else f"{shown:.0f}{unit}"
    return f"{number:.0f}"


def size(count: int) -> str:
    """Bytes for people."""
    return f"{short(count)}B" if count >= 1000 else f"{count} B"
