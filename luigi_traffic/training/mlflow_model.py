"""A bundle as an MLflow model, for `mlflow models serve` and `mlflow.pyfunc.load_model`."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from luigi_traffic.api.version import __version__
from luigi_traffic.training.bundle import file_names
from luigi_traffic.training.registry import BUNDLE

#: What the model is computed with, beside us and its plugin.
_LIBRARIES = ("mlflow", "torch", "numpy", "pandas")


def save_model(
    folder: Path, bundle: Path, columns: Sequence[str], target: str, requirement: str | None = None
) -> None:
    """Write the MLflow model (models-from-code) of the bundle to `folder`, which is not there yet.

    `columns` of gold go in, `target` comes out. `requirement` is pip's name of the distribution
    that provides the model's plugin, with its version; None if it is a file in a folder.
    """
    import mlflow
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    key = [ColSpec(DataType.datetime, "timestamp"), ColSpec(DataType.string, "link_id")]
    signature = ModelSignature(
        Schema([*key, *(ColSpec(DataType.double, c) for c in columns)]),
        Schema([*key, ColSpec(DataType.long, "step"), ColSpec(DataType.double, target)]),
    )
    with tempfile.TemporaryDirectory(prefix="luigi-traffic-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no input example: the signature is given
        # MLflow names its copy of a folder as the folder is named.
        named = Path(scratch) / BUNDLE
        named.mkdir()
        for part in file_names(bundle):
            shutil.copyfile(bundle / part, named / part)
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={BUNDLE: str(named)},
            signature=signature,
            pip_requirements=requirements(requirement),
        )


def requirements(plugin: str | None) -> list[str]:
    """Ours, the plugin's and the libraries', each with the version that is installed.

    MLflow would start the model in a process of its own to find them, and would not find a plugin.
    """
    from importlib.metadata import version

    ours = [f"luigi_traffic=={__version__}", *([plugin] if plugin else [])]
    # A build of torch for some GPU, or none, is named after a "+": any other build serves as well.
    return [*ours, *(f"{name}=={version(name).split('+')[0]}" for name in _LIBRARIES)]
