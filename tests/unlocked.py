"""Luigi's command line without the advisory lock of a stage, which only saves work.

    python tests/unlocked.py --module luigi_traffic.run FullPipeline …

Two of these at once do every stage twice, and the commits alone decide.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from luigi.cmdline import luigi_run

from luigi_traffic.warehouse.connection import Warehouse


@contextmanager
def _no_lock(*_: object) -> Iterator[bool]:
    yield True


if __name__ == "__main__":
    Warehouse.lock = _no_lock  # type: ignore[method-assign,assignment]
    sys.exit(luigi_run())
