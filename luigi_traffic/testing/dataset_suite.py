"""The conformance tests of a dataset plugin."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from luigi_traffic.api.dataset import Dataset
from luigi_traffic.testing.dataset_bad_input import BadInputChecks
from luigi_traffic.testing.dataset_bronze import BronzeChecks
from luigi_traffic.testing.dataset_contract import ContractChecks
from luigi_traffic.testing.dataset_engines import EngineChecks
from luigi_traffic.testing.dataset_pipeline import PipelineChecks
from luigi_traffic.testing.dataset_runs import RunChecks
from luigi_traffic.testing.dataset_silver import SilverChecks
from luigi_traffic.testing.dataset_source import SourceChecks
from luigi_traffic.testing.yaml_file import dataset_of

if TYPE_CHECKING:
    from luigi_traffic.testing.sample import Sample


@pytest.mark.usefixtures("luigi_traffic_sample")
class DatasetSuite(
    PipelineChecks,
    EngineChecks,
    RunChecks,
    BadInputChecks,
    SilverChecks,
    BronzeChecks,
    SourceChecks,
    ContractChecks,
):
    """Subclass it in a test file, name a dataset and a day that its source has.

    class TestDemoCity(DatasetSuite):
        dataset = DemoCity
        day = date(2024, 5, 1)

    Or a file of settings that declares one:

    class TestHarbour(DatasetSuite):
        yaml = Path("conf/datasets/harbour.yml")
        day = date(2024, 5, 1)
    """

    #: The class; with `yaml` the one that the file declares.
    dataset: type[Dataset]
    #: A file of settings with the key `table`, instead of `dataset`.
    yaml: ClassVar[Path | None] = None
    #: A day that the source, or `text`, has.
    day: ClassVar[date]
    #: Values of the dataset's `Settings`, where the defaults do not fit a test.
    #: With `yaml` they are laid over the file, as {"table": {"glob": "sample.csv"}}.
    settings: ClassVar[dict[str, Any]] = {}
    #: The engines that compute the dataset.
    engines: ClassVar[tuple[str, ...]] = ("spark", "duckdb")
    #: Of a larger day every second, third, … line is tested.
    most_lines: ClassVar[int] = 50_000
    #: Largest share of the graph's links that the day may lack.
    most_unknown_links: ClassVar[float] = 0.25
    #: Rows that the speed is measured on; the day's are repeated.
    speed_lines: ClassVar[int] = 200_000

    #: Set by the fixture `luigi_traffic_sample`, for all tests of the class.
    sample: Sample

    def text(self) -> str | None:
        """The text of one raw file of `day`, where the source needs a network; None: ask it."""
        return None

    def make_dataset(self, folder: Path) -> Dataset:
        """The dataset with its settings. Override it where they name files: put those in `folder`.

        Called several times; the datasets must be equal.
        """
        if self.yaml is not None:
            return dataset_of(self.yaml, self.settings)
        return self.dataset(self.dataset.Settings(**self.settings))
