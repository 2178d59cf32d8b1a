"""The simulated ITS: a dataset plugin; commands `luigi-traffic simulate` and `its-sim-serve`."""

from collections.abc import Callable

from luigi_traffic import Dataset, hookimpl
from luigi_traffic_its_sim.dataset import ItsSim, SimulatedArchives
from luigi_traffic_its_sim.settings import ItsSimSettings

__all__ = [
    "ItsSim",
    "ItsSimSettings",
    "SimulatedArchives",
    "luigi_traffic_commands",
    "luigi_traffic_datasets",
]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_datasets() -> list[type[Dataset]]:
    """The datasets of this plugin."""
    return [ItsSim]


@hookimpl
def luigi_traffic_commands() -> list[Callable[..., None]]:
    """`luigi-traffic simulate` and `luigi-traffic its-sim-serve`."""
    # Here and not above: a pipeline run has no use for typer.
    from luigi_traffic_its_sim.command import simulate
    from luigi_traffic_its_sim.service_command import its_sim_serve

    return [simulate, its_sim_serve]
