"""The pretrained weights: files in a folder of this machine, loaded once a process.

They are never downloaded, and never stored with a trained model, which remembers their digest.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from luigi_traffic import SettingsError

#: Names the folder if the setting `weights` is empty.
VARIABLE = "LUIGI_TRAFFIC_CHRONOS"
CONFIG = "config.json"
_WHERE = (
    "Download the files of the Hugging Face model amazon/chronos-2 (config.json, "
    "model.safetensors) into a folder"
)


@dataclass(frozen=True)
class Pretrained:
    """What is loaded of a folder."""

    model: Any
    """A `chronos.Chronos2Model` in eval mode, float32."""
    digest: str
    """SHA-256 (hex), see `digest_of`."""

    @property
    def most_input_steps(self) -> int:
        """Values of the past that it looks at."""
        return int(self.model.chronos_config.context_length)

    @property
    def most_output_steps(self) -> int:
        """Steps ahead that it was trained to forecast at once."""
        config = self.model.chronos_config
        return int(config.max_output_patches * config.output_patch_size)


def folder_of(weights: str | None) -> Path:
    """The folder that the setting `weights` names, else the environment variable.

    Raises SettingsError if neither is set, or there are no weights.
    """
    given = weights or os.environ.get(VARIABLE)
    if not given:
        raise SettingsError(
            "The model chronos has no weights, and does not download any. "
            f"{_WHERE}, and name it: weights in conf/models/chronos.yml, or the environment "
            f"variable {VARIABLE}."
        )
    folder = Path(given).expanduser().absolute()
    named = "weights of the model chronos" if weights else VARIABLE
    if not folder.is_dir():
        raise SettingsError(f"{named}: {folder} is not a folder. {_WHERE}, and name that one.")
    missing = [name for name in (CONFIG, "*.safetensors") if not any(folder.glob(name))]
    if missing:
        raise SettingsError(
            f"{named}: the folder {folder} has no {' and no '.join(missing)}. {_WHERE}, and name "
            "that one."
        )
    return folder


def digest_of(folder: Path) -> str:
    """SHA-256 (hex) of what `sha256sum config.json *.safetensors` prints in that folder."""
    lines = []
    for path in [folder / CONFIG, *sorted(folder.glob("*.safetensors"))]:
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@cache
def pretrained(folder: Path) -> Pretrained:
    """The weights in `folder`. Raises SettingsError if they do not load, or without the library."""
    return Pretrained(_model(folder), digest_of(folder))


def _model(folder: Path) -> Any:
    try:
        from chronos import Chronos2Model
        from transformers.utils import logging
    except ImportError as error:
        raise SettingsError(
            "The model chronos needs the package chronos-forecasting, 2.1 or newer, which is not "
            f"installed ({error}). Install it: pip install 'luigi-traffic-chronos[library]'"
        ) from error
    progress: Any = logging
    bars = progress.is_progress_bar_enabled()
    progress.disable_progress_bar()
    try:
        model, found = Chronos2Model.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:
        raise SettingsError(f"{folder} does not have weights of Chronos-2: {error}") from error
    finally:
        if bars:
            progress.enable_progress_bar()
    # The library fills them with random numbers, and only warns.
    missing = sorted([*found["missing_keys"], *found["mismatched_keys"]])
    if missing:
        raise SettingsError(
            f"{folder} does not have all weights of Chronos-2: {len(missing)} are missing or of "
            f"another shape, such as {missing[0]}."
        )
    return model.float().eval().requires_grad_(False)
