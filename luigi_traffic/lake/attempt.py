"""An attempt: the objects of one try of a stage, and the only thing that may be removed."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import date
from typing import Self

from luigi_traffic.api.stages import DATA_STAGES

_PREFIX = re.compile(
    rf"(?:(?P<below>[^/].*)/)?(?P<stage>{'|'.join(DATA_STAGES)})/(?P<dataset>[^/]+)"
    r"/(?P<day>\d{4}-\d{2}-\d{2})/[0-9a-f]{12}/"
)


@dataclass(frozen=True)
class Attempt:
    """A try of a stage: all its objects lie below `prefix`, and nothing else does.

    `prefix` is `<lake_prefix>/<stage>/<dataset>/<day>/<12 hex digits>/`, `lake_prefix` being
    optional. Raises `ValueError` for any other text: what is removed is always one attempt,
    never a day, a stage or the lake.
    """

    prefix: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix) or ".." in self.prefix.split("/"):
            raise ValueError(f"not the prefix of an attempt: {self.prefix!r}")

    @classmethod
    def fresh(cls, stage: str, dataset: str, day: date, below: str | None = None) -> Self:
        """One that nobody else has, `below` a folder of the lake."""
        place = f"{stage}/{dataset}/{day.isoformat()}/{uuid.uuid4().hex[:12]}/"
        return cls(f"{below}/{place}" if below else place)

    @classmethod
    def holding(cls, key: str, below: str = "") -> Self | None:
        """The attempt that an object belongs to, None for an object of none.

        `below`: the folder of the lake that attempts are looked for in, "" for its root.
        """
        inside = key.removeprefix(f"{below}/") if below else key
        if below and inside == key:
            return None
        parts = inside.split("/")
        head = "/".join(parts[:4]) + "/"
        found = _PREFIX.fullmatch(head) if len(parts) > 4 else None
        if found is None or found["below"] or ".." in key.split("/"):
            return None
        return cls(f"{below}/{head}" if below else head)

    def key(self, name: str) -> str:
        """The key of an object of this attempt."""
        return f"{self.prefix}{name}"

    def holds(self, key: str) -> bool:
        """Whether that object is one of this attempt's."""
        return key.startswith(self.prefix) and ".." not in key.split("/")

    @property
    def place(self) -> tuple[str, str, str]:
        """Stage, dataset and day ("2012-03-28")."""
        stage, dataset, day, _ = self.prefix.rstrip("/").split("/")[-4:]
        return stage, dataset, day

    @property
    def below(self) -> str:
        """The folder of the lake it lies in, "" for its root."""
        return "/".join(self.prefix.rstrip("/").split("/")[:-4])
