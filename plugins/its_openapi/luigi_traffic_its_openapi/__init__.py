"""The ITS OpenAPI: a dataset plugin, and the command `luigi-traffic its-openapi-collect`."""

from collections.abc import Callable

from luigi_traffic import Dataset, hookimpl
from luigi_traffic_its_openapi.dataset import ItsOpenApi
from luigi_traffic_its_openapi.settings import ItsOpenApiSettings

__all__ = [
    "ItsOpenApi",
    "ItsOpenApiSettings",
    "luigi_traffic_commands",
    "luigi_traffic_datasets",
]

luigi_traffic_api = 2


@hookimpl
def luigi_traffic_datasets() -> list[type[Dataset]]:
    """The datasets of this plugin."""
    return [ItsOpenApi]


@hookimpl
def luigi_traffic_commands() -> list[Callable[..., None]]:
    """`luigi-traffic its-openapi-collect`."""
    # Here and not above: a pipeline run has no use for typer and requests.
    from luigi_traffic_its_openapi.command import its_openapi_collect

    return [its_openapi_collect]
