"""The PatchSTG model plugin."""

from luigi_traffic import Model, hookimpl
from luigi_traffic_patchstg.model import PatchStg, PatchStgConfig

__all__ = ["PatchStg", "PatchStgConfig", "luigi_traffic_models"]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_models() -> list[type[Model]]:
    """The models of this plugin."""
    return [PatchStg]
