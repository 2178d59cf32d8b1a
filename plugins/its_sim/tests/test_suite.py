"""The conformance kit on this dataset."""

from datetime import date

from luigi_traffic.testing import DatasetSuite
from luigi_traffic_its_sim import ItsSim


class TestItsSim(DatasetSuite):
    dataset = ItsSim
    day = date(2024, 1, 10)
    settings = {"links_count": 8, "implausible": 0.01, "duplicates": 0.01}
