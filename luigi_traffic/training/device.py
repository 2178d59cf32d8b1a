"""Where a network runs, and on how many threads."""

from __future__ import annotations

import os

import torch

from luigi_traffic.errors import SettingsError

#: More threads than this make small batches slower, not faster.
MOST_THREADS = 8


def choose_device(wanted: str) -> torch.device:
    """The GPU for "auto" where there is one. Raises SettingsError for a "cuda" that is not."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise SettingsError(
            "The model's config asks for device 'cuda', but torch sees no GPU here. "
            "Set device to 'auto' or 'cpu', or install a CUDA build of torch and a driver."
        )
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


def use_threads() -> None:
    """As many threads as this process has cores, unless OMP_NUM_THREADS says otherwise.

    torch counts the machine's cores, not those that a container or taskset leaves us.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        torch.set_num_threads(min(cores or 1, MOST_THREADS))
