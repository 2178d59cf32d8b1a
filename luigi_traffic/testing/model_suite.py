"""The conformance tests of a model plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from luigi_traffic.api.model import Model
from luigi_traffic.testing.model_contract import ModelContractChecks
from luigi_traffic.testing.model_network import NetworkChecks
from luigi_traffic.testing.model_training import TrainingChecks

if TYPE_CHECKING:
    from luigi_traffic.testing.trial import Trial


@pytest.mark.usefixtures("luigi_traffic_trial")
class ModelSuite(TrainingChecks, NetworkChecks, ModelContractChecks):
    """Subclass it in a test file and name a model.

    class TestMyModel(ModelSuite):
        model = MyModel
    """

    model: type[Model]
    #: Values of the model's `Config`, where the defaults do not fit a test.
    config: ClassVar[dict[str, Any]] = {}
    #: The same for the toy training alone, which takes seconds: epochs, learning_rate, …
    training: ClassVar[dict[str, Any]] = {}
    #: Columns that datasets add to gold by `extra_columns` and this model reads.
    extra_columns: tuple[str, ...] = ()

    #: Set by the fixture `luigi_traffic_trial`, for all tests of the class.
    trial: Trial
