"""A dataset as one stage may read it: without the settings of the stages that follow.

A setting counts for the stage that it declares and for all after it. What a stage reads and
its recipe does not have would change its output, and the output would still count as done: so
reading it is an error.
"""

from __future__ import annotations

import copy
from functools import cache, cached_property
from typing import Any, TypeVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from luigi_traffic.api.dataset import Dataset, SettingStage
from luigi_traffic.errors import SettingsError

ORDER = get_args(SettingStage)
D = TypeVar("D", bound=Dataset)


def dataset_for(dataset: D, stage: str) -> D:
    """A copy whose settings raise `SettingsError` if one of a later stage is read.

    What the dataset has cached of its settings (`cached_property`) is left out of the copy.
    """
    kind = type(dataset)
    made = copy.copy(dataset)
    for name in list(vars(made)):
        if isinstance(getattr(kind, name, None), cached_property):
            del vars(made)[name]
    made.settings = _guarded(dataset.settings, dataset.name, stage)
    return made


def _guarded(settings: BaseModel, owner: str, stage: str) -> BaseModel:
    """The same values under a class that looks at what is read."""
    made = settings.model_copy()
    object.__setattr__(made, "__class__", _class_for(type(settings), owner, stage))
    return made


@cache
def _class_for(kind: type[BaseModel], owner: str, stage: str) -> type[BaseModel]:
    fields = kind.model_fields

    later = {
        name
        for name, field in fields.items()
        if (at := _stage_of(field)) is not None and ORDER.index(at) > ORDER.index(stage)
    }

    def refuse(name: str) -> None:
        declared = _stage_of(fields[name])
        raise SettingsError(
            f"dataset {owner}: its {stage} stage reads the setting {name!r}, which is declared "
            f"for {declared}: a new value would not change the old {stage}. Declare it with "
            f'setting(…, stage="{stage}").'
        )

    def read(self: BaseModel, name: str) -> Any:
        if name in later:
            refuse(name)
        value = kind.__getattribute__(self, name)
        # The source of a table says in its own recipe which of the table's keys it reads.
        if name in fields and stage != "raw" and isinstance(value, BaseModel):
            return _guarded(value, owner, stage) if _declares_stages(type(value)) else value
        return value

    def dump(self: BaseModel, **options: Any) -> dict[str, Any]:
        """What may be read."""
        asked = options.get("include")
        for name in sorted(later & set(asked or ())):
            refuse(name)
        if asked is None:
            options["exclude"] = later | set(options.get("exclude") or ())
        return kind.model_dump(self, **options)

    def plain(self: BaseModel) -> tuple[Any, ...]:
        """Pickled as what it stands for: the class is not importable."""
        return kind.model_construct, (), kind.__getstate__(self)

    members = {
        "__getattribute__": read,
        "__reduce__": plain,
        "__module__": kind.__module__,
        "model_dump": dump,
    }
    return type(kind.__name__, (kind,), members)


def _stage_of(field: FieldInfo) -> Any:
    """The stage that a setting is declared for; bronze if nothing is said."""
    extra = field.json_schema_extra
    return extra.get("stage", "bronze") if isinstance(extra, dict) else "bronze"


def _declares_stages(kind: type[BaseModel]) -> bool:
    return any(
        isinstance(field.json_schema_extra, dict) and "stage" in field.json_schema_extra
        for field in kind.model_fields.values()
    )
