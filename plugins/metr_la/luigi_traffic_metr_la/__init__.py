"""METR-LA as a dataset: real data from a folder, one day cut out of one file."""

from __future__ import annotations

from collections.abc import Sequence

from luigi_traffic import Dataset, hookimpl
from luigi_traffic_metr_la.dataset import MetrLa

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_datasets() -> Sequence[type[Dataset]]:
    """METR-LA."""
    return [MetrLa]
