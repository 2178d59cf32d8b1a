"""The champion of a dataset's target, for the tasks that use it: who it is, and its bundle."""

from __future__ import annotations

from dataclasses import dataclass, field

from luigi_traffic.errors import DamageError, DataError, PluginError
from luigi_traffic.project import Project
from luigi_traffic.training import champion, registry
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.registry import (
    CHAMPION,
    DIGEST,
    PARTITION_ID,
    ModelLost,
    Registered,
    bundle_folder,
    registered_name,
)
from luigi_traffic.warehouse import ledger


@dataclass(frozen=True)
class ChampionModel:
    """The version that carried the alias when it was asked for, whoever gave it.

    label  the work that needs it, for messages
    """

    project: Project = field(repr=False)
    dataset: str
    version: Registered
    label: str

    @classmethod
    def find(cls, project: Project, dataset: str, target: str, label: str) -> ChampionModel:
        """`target` is empty for the dataset's own. Raises `DataError` if there is none of ours."""
        name = registered_name(dataset, target)
        found = registry.champion(project.settings.tracking_uri, name)
        if found is None:
            raise DataError(
                f"{label}: no version of {name} in MLflow carries the alias {CHAMPION!r}, so "
                "there is nothing to forecast with. Train a model (name one with --model), or "
                f"choose a version: luigi-traffic promote {dataset} VERSION."
            )
        if not {"model", DIGEST, PARTITION_ID} <= found.tags.keys():
            raise DataError(
                f"{label}: version {found.version} of {name}, the champion, was not "
                "registered by luigi_traffic, so it cannot forecast here. Choose another one: "
                f"luigi-traffic promote {dataset} VERSION."
            )
        return cls(project, dataset, found, label)

    @property
    def model(self) -> str:
        """Name of its model plugin."""
        return self.version.tags["model"]

    @property
    def partition_id(self) -> str:
        """Of its training."""
        return self.version.tags[PARTITION_ID]

    def bundle(self) -> Bundle:
        """What was trained, from this home or from MLflow. Raises `DamageError` if it is lost."""
        version, made_of = self.version, self.partition_id
        digest = version.tags[DIGEST]
        wanted = {"name": version.name, "version": version.version, "digest": digest}
        local = self.project.home / "models" / made_of
        try:
            folder = bundle_folder(self.project.settings.tracking_uri, wanted, local)
        except ModelLost as e:
            with self.project.warehouse.connect() as connection:
                ledger.void(connection, "model", self.dataset, made_of, str(e), made_of)
            lost = champion.lost_holder(version, e)
            raise DamageError(
                f"{self.label}: {lost.warning}. The model now counts as missing: the run that "
                "trained it trains it again."
            ) from None
        try:
            return Bundle.load(folder, self.project.plugins.model, expected=digest)
        except PluginError as e:
            raise PluginError(
                f"{self.label}: the champion, version {version.version} of {version.name}, cannot "
                f"forecast here. {e} Or let another version forecast: luigi-traffic promote "
                f"{self.dataset} VERSION."
            ) from None
