"""What a model class declares: name, config, channels. No network is built."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from luigi_traffic.api.model import (
    DAY_OF_WEEK,
    OBSERVED,
    TARGET,
    TIME_OF_DAY,
    Model,
    ModelConfig,
    resolved,
)
from luigi_traffic.errors import DataError, did_you_mean
from luigi_traffic.testing.toy import COLUMNS
from luigi_traffic.testing.toy import TARGET as TOY_TARGET
from luigi_traffic.training.batches import check_channels
from luigi_traffic.training.checkpoint import fingerprint

if TYPE_CHECKING:
    from luigi_traffic.testing.trial import Trial


class ModelContractChecks:
    """Class attributes, config and channels."""

    model: type[Model]
    extra_columns: tuple[str, ...]
    trial: Trial

    def test_name_and_version(self) -> None:
        """Both are in the recipe of a trained model."""
        name = getattr(self.model, "name", None)
        assert isinstance(name, str) and name.isidentifier() and name == name.lower(), (
            f"name is {name!r}. Set it to a lower-case Python identifier, such as 'my_model'."
        )
        version = getattr(self.model, "version", None)
        assert isinstance(version, str) and version, (
            f'version is {version!r}. Set version = "1", as text, and raise it if the meaning '
            "of the same weights changes: stored models of another version are refused."
        )

    def test_config_has_defaults_and_descriptions(self) -> None:
        """The model trains for somebody who has set nothing, and says what can be set."""
        config = self.model.Config
        assert isinstance(config, type) and issubclass(config, ModelConfig), (
            f"Config is {config!r}. Make it a subclass of luigi_traffic.ModelConfig."
        )
        try:
            config()
        except ValidationError as e:
            raise AssertionError(
                f"the defaults of Config are not valid: {e}\nGive every field a default that its "
                "own checks accept."
            ) from None
        for name, field in config.model_fields.items():
            assert name in ModelConfig.model_fields or field.description, (
                f"the hyperparameter {name!r} has no description. Declare it as "
                f"{name}: … = Field(default, description='…')."
            )

    def test_config_counts(self) -> None:
        """Every value is in the recipe and comes back from JSON as it was."""
        config = self.trial.config
        dumped = config.model_dump(mode="json")
        lost = sorted(set(type(config).model_fields) - set(dumped))
        assert not lost, (
            f"{', '.join(lost)} is missing from the config's model_dump, so a model trained with "
            "another value has the same recipe. Do not exclude fields."
        )
        again = type(config).model_validate(json.loads(json.dumps(dumped)))
        assert again == config, (
            "the config does not survive JSON: a stored model would be built with other values. "
            "Use types that pydantic writes and reads as JSON."
        )
        marks = {fingerprint(self.trial.model, c, self.trial.series) for c in (config, again)}
        other = self.trial.changed(seed=config.seed + 1)
        assert other is not None and len(marks) == 1, (
            "the fingerprint of the config is not the same twice. Use fields that are always "
            "written to JSON in the same order (no sets)."
        )
        assert fingerprint(self.trial.model, other, self.trial.series) not in marks, (
            "another seed has the same fingerprint: checkpoints of different trainings would be "
            "mixed up. Do not override model_dump."
        )
        with pytest.raises(ValidationError):
            type(config).model_validate({**dumped, "no_such_hyperparameter": 1})

    def test_channels_are_known(self) -> None:
        """Inputs are columns of gold, their flags and the calendar."""
        channels = self.trial.model.channels(self.trial.config)
        good = isinstance(channels, tuple) and all(isinstance(c, str) and c for c in channels)
        assert good and channels, (
            f"channels() returns {channels!r}. Return a tuple of names, at least one."
        )
        assert len(set(channels)) == len(channels), (
            f"channels() repeats a name: {channels}. Give each name once, and read it as often as "
            "you like."
        )
        columns = (*COLUMNS, *self.extra_columns)
        try:
            check_channels(resolved(channels, TOY_TARGET), columns)
        except DataError:
            named = (*columns, TARGET)
            known = [*named, *(c + OBSERVED for c in named), TIME_OF_DAY, DAY_OF_WEEK]
            (name, *_) = [c for c in channels if c not in known]
            raise AssertionError(
                f"channels() asks for {name!r}, which gold does not "
                f"have.{did_you_mean(name, known)} If a dataset adds columns by extra_columns, "
                "declare them to the suite: extra_columns = (…)."
            ) from None
        made_of = [c for c in channels if c not in (TIME_OF_DAY, DAY_OF_WEEK)]
        assert made_of, f"channels() has only the calendar: {channels}. Add at least TARGET."
