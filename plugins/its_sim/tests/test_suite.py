"""The conformance kit on this dataset."""

from datetime import date

from luigi_traffic.testing import DatasetSuite
from luigi_traffic_its_sim import ItsSim


class TestItsSim(DatasetSuite):
    dataset = ItsSim
    day = date(2024, 1, 10)
    speed_lines = 20_000
    settings = {"links_count": 8, "implausible": 0.01, "duplicates": 0.01}

    def test_faults_of_the_sensors_come_through(self) -> None:
        rejected = {row["reject_reason"] for row in self.sample.bronze.rejected}
        assert rejected == {"implausible speed"}
        assert max(row["n_obs"] for row in self.sample.silver.rows) == 2
        assert len({row["link_id"] for row in self.sample.silver.rows}) == 8
