"""What a dataset class declares: name, grid, zone, unit, settings. No data is touched."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from pydantic import ValidationError

from luigi_traffic.api.columns import RESERVED
from luigi_traffic.api.dataset import Dataset, DatasetSettings, SettingStage
from luigi_traffic.api.model import gold_columns

if TYPE_CHECKING:
    from luigi_traffic.testing.sample import Sample

#: Units a dataset may declare, and the highest speed that a road vehicle reaches in each.
SPEED_UNITS = {"km/h": 250.0, "mph": 155.0, "m/s": 70.0}


class ContractChecks:
    """Class attributes and settings."""

    dataset: type[Dataset]
    yaml: ClassVar[Path | None]
    sample: Sample

    def test_name_and_version(self) -> None:
        """Both are in every recipe, and the name is a table and a folder."""
        name = getattr(self.dataset, "name", None)
        assert isinstance(name, str) and name.isidentifier() and name == name.lower(), (
            f"name is {name!r}. Set it to a lower-case Python identifier, such as 'demo_city': it "
            "names tables, folders and settings."
        )
        for attribute in ("version", "silver_version"):
            version = getattr(self.dataset, attribute, None)
            assert isinstance(version, str) and version, (
                f'{attribute} is {version!r}. Set {attribute} = "1", as text: it is part of the '
                "recipe, and must be raised if the meaning of a row changes."
            )

    def test_interval_divides_a_day(self) -> None:
        """The grid is the same every day."""
        interval: Any = getattr(self.dataset, "interval", None)
        whole = isinstance(interval, timedelta) and interval > timedelta(0)
        assert whole and not timedelta(days=1) % interval and not interval.microseconds, (
            f"interval is {interval!r}. Set it to a timedelta of whole seconds that divides a day, "
            "such as timedelta(minutes=5)."
        )

    def test_timezone_is_known(self) -> None:
        """Timestamps are the wall time of a zone that can be looked up."""
        name = getattr(self.dataset, "timezone", None)
        try:
            ZoneInfo(name if isinstance(name, str) else "")
        except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
            raise AssertionError(
                f"timezone {name!r} is not in the IANA database. Use a name like 'Asia/Seoul' or "
                "'America/Los_Angeles', not an abbreviation or an offset."
            ) from None

    def test_settles_after_is_a_time(self) -> None:
        """A day is asked for when it is over and its source has stopped to add to it."""
        wait: Any = self.dataset.settles_after
        assert isinstance(wait, timedelta) and wait >= timedelta(0), (
            f"settles_after is {wait!r}. Set it to a timedelta of 0 or more: how long after "
            "midnight the source still adds to a day, such as timedelta(hours=3)."
        )

    def test_speed_unit_is_known(self) -> None:
        """Speeds keep the dataset's unit, which reports print."""
        unit = self.dataset.measures.get("speed")
        assert unit is None or unit in SPEED_UNITS, (
            f"measures says that the unit of the speed is {unit!r}. Declare one of "
            f"{', '.join(SPEED_UNITS)}; in bronze, convert speeds that come in another unit."
        )

    def test_reject_reasons_are_declared(self) -> None:
        """Each is counted in the pass that writes, so all must be known before."""
        reasons = self.dataset.reject_reasons
        good = isinstance(reasons, tuple) and all(isinstance(r, str) and r for r in reasons)
        assert good and len(set(reasons)) == len(reasons) and reasons, (
            f"reject_reasons is {reasons!r}. List every value that bronze's reject_reason may "
            "have, once each, as a tuple of text."
        )

    def test_settings_have_defaults(self) -> None:
        """The dataset loads for somebody who has set nothing."""
        if self.yaml is not None:
            pytest.skip("a file of settings has no defaults: it is the settings")
        settings = self.dataset.Settings
        assert isinstance(settings, type) and issubclass(settings, DatasetSettings), (
            f"Settings is {settings!r}. Make it a subclass of luigi_traffic.DatasetSettings."
        )
        try:
            default = settings()
            again = settings.model_validate(default.model_dump(mode="json"))
        except ValidationError as e:
            raise AssertionError(
                f"the defaults of Settings are not valid: {e}\n"
                "Give every setting a default that its own checks accept, also after conversion "
                "to JSON and back."
            ) from None
        assert again == default, (
            "Settings do not survive JSON: model_dump(mode='json') returns other values. Use "
            "types that pydantic writes and reads as JSON."
        )

    def test_settings_say_stage_and_description(self) -> None:
        """A new value makes exactly what depends on it stale; `settings` prints the text."""
        stages = (*get_args(SettingStage), None)
        for name, field in self.dataset.Settings.model_fields.items():
            extra: Any = field.json_schema_extra
            assert isinstance(extra, dict) and "stage" in extra and extra["stage"] in stages, (
                f"the setting {name!r} does not say which stage it changes. Declare it with "
                f"luigi_traffic.setting(default, stage=…, description=…); stage is one of "
                f"{', '.join(map(repr, stages))} (None: it changes no data)."
            )
            assert field.description, (
                f"the setting {name!r} has no description. Say in a few words what it does, with "
                "its unit: setting(…, description='…')."
            )

    def test_settings_make_recipes(self) -> None:
        """The terms of each stage are JSON, and the same for the same settings."""
        for stage in get_args(SettingStage):
            terms = [self._made().recipe_terms(stage) for _ in range(2)]
            try:
                json.dumps(terms[0])
            except TypeError as e:
                raise AssertionError(
                    f"recipe_terms({stage!r}) is not JSON: {e}. Use settings of types that "
                    "pydantic writes as JSON."
                ) from None
            assert terms[0] == terms[1], (
                f"recipe_terms({stage!r}) differs between two instances with the same settings: "
                f"{terms[0]} and {terms[1]}. No default may depend on the time or on chance."
            )

    def test_extra_columns_are_names(self) -> None:
        """More columns of silver than the canonical ones are declared, and collide with none."""
        extra: Any = getattr(self.dataset, "extra_columns", ())
        good = isinstance(extra, tuple) and all(
            isinstance(name, str) and name.isidentifier() and name not in RESERVED for name in extra
        )
        assert good and extra == gold_columns(extra), (
            f"extra_columns is {extra!r}. Make it a tuple of lower-case identifiers, each once, "
            f"none of {', '.join(sorted(RESERVED))}."
        )

    def test_pickles(self) -> None:
        """Luigi's workers and Spark's get the dataset as bytes."""
        if self.yaml is not None:
            pytest.skip("each process reads the file of settings anew")
        made = self._made()
        try:
            again = pickle.loads(pickle.dumps(made))  # noqa: S301  (bytes of our own)
        # What cannot be pickled says so in many types.
        except Exception as e:  # noqa: BLE001
            raise AssertionError(
                f"the dataset cannot be pickled: {e}. Keep open files, locks, sessions and "
                "lambdas out of its attributes; create them in the method that needs them."
            ) from None
        assert again.settings == made.settings, (
            "a pickled dataset comes back with other settings. Keep all state in `settings`."
        )

    def _made(self) -> Dataset:
        return self.sample.suite.make_dataset(self.sample.folder)
