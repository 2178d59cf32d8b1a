"""The ITS dataset plugin: 5-minute link speeds of Korea's roads."""

from luigi_traffic import Dataset, hookimpl
from luigi_traffic_its.dataset import Its
from luigi_traffic_its.nodelink import read_node_links
from luigi_traffic_its.settings import ULSAN_LINKS, ItsFileSettings, ItsSettings

__all__ = [
    "ULSAN_LINKS",
    "Its",
    "ItsFileSettings",
    "ItsSettings",
    "luigi_traffic_datasets",
    "read_node_links",
]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_datasets() -> list[type[Dataset]]:
    """The datasets of this plugin."""
    return [Its]
