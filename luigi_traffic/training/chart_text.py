"""Text in SVG that the font of the layout lacks, such as Hangul: the browser has one that has it.

Matplotlib lays a chart out with a font of its own, and warns of every character that the font does
not have; between two dollar signs it reads mathematics. So it is given a stand-in of about the
same width, and the SVG gets the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from markupsafe import escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What matplotlib measures text with: it brings this one.
LAYOUT_FONT = "DejaVu Sans"
#: What the fonts of a page are, as CSS: the system's, and Korean ones by name.
FONTS = "system-ui, 'Apple SD Gothic Neo', 'Malgun Gothic', 'Noto Sans KR', 'Noto Sans CJK KR'"
#: What matplotlib can lay out itself: ASCII without the dollar sign.
_PLAIN = re.compile("[ -#%-~]*")
#: A character of every stand-in, and of no text that stays.
_FILL = "■"


def stand_ins(figure: Figure) -> dict[str, str]:
    """Replace the text that must not be laid out; stand-in → text."""
    from matplotlib.text import Text

    found: dict[str, str] = {}
    for artist in figure.findobj(Text):
        text = artist.get_text()
        if not _PLAIN.fullmatch(text):
            name = f"{_FILL}{len(found)}".ljust(_width(text), _FILL)
            found[name] = text
            artist.set_text(name)
    return found


def restored(svg: str, texts: Mapping[str, str]) -> str:
    """The SVG with what `stand_ins` took away."""
    for name, text in texts.items():
        svg = svg.replace(f">{name}<", f">{escape(text)}<")
    return svg


def _width(text: str) -> int:
    """In characters that are as wide as they are high."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return -(-(2 * wide + len(text) - wide) // 2)
