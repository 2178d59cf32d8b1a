"""`luigi-traffic links import`: a version of the links of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from luigi_traffic.commands.links import own_links
from luigi_traffic.commands.links.link_file import LinkFile
from luigi_traffic.errors import SettingsError
from luigi_traffic.project import Project
from luigi_traffic.targets.chain import lineage
from luigi_traffic.warehouse.links import replace_version


@dataclass(frozen=True)
class Request:
    """What to import, of which dataset, and from which day on it is valid.

    Without a file: what the dataset itself knows, and without a day for all days.
    """

    dataset: str
    file: LinkFile | None = None
    valid_from: date | None = None
    only_known: bool = False


def run(project: Project, request: Request) -> str:
    """Import them in one transaction; what to tell.

    Raises `SettingsError` and `DataError` for what cannot be imported: then nothing is changed.
    """
    dataset = project.plugins.dataset(request.dataset)
    if request.file is None:
        day = request.valid_from or own_links.VALID_FROM
        source = f"the dataset {dataset.name}"
        batches = own_links.batches(dataset, lineage(project, dataset.name).link_table, day)
    elif request.valid_from is None:
        raise SettingsError(
            f"{request.file.path} does not say from which day on its links are valid. Say it: "
            "--valid-from YYYY-MM-DD."
        )
    else:
        day, source = request.valid_from, request.file.path.name
        batches = request.file.batches()
    with project.warehouse.connect() as connection:
        done = replace_version(
            connection, dataset.name, day, source, batches, only_known=request.only_known
        )
    told = f"{done.links:,} links of {dataset.name} from {source}, valid from {day}"
    if done.left_out:
        told += f"; left out, because gold does not have them: {done.left_out:,}"
    return told if done.changed else f"{told}: they were there already, nothing was changed"
