"""Where the data of a server lies that runs as another user than ourselves."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.recipe import short_hash

log = logging.getLogger(__name__)

_ELSEWHERE = ("/var/lib", "/var/tmp")  # noqa: S108 - mkdtemp, so nobody can be there first


def choose(folder: Path, user: ServerUser) -> Path:
    """`folder`, or a folder elsewhere if `user` cannot enter that one (root's home).

    Elsewhere it is the one that was made before, or a new one. Raises SettingsError if there is
    no place that the user can enter, or if several were made before.
    """
    if user.can_enter(folder):
        return folder
    name = f"luigi_traffic-{short_hash(str(folder))}-"
    made = [
        home
        for parent in _ELSEWHERE
        for home in Path(parent).glob(f"{name}*")
        if home.lstat().st_uid == os.geteuid() and (home / "data").is_dir()
    ]
    if len(made) > 1:
        raise SettingsError(
            f"Several folders contain a database of {folder}: {', '.join(map(str, made))}. Keep "
            "the right one and move the others away."
        )
    if made:
        return made[0]
    for parent in _ELSEWHERE:
        try:
            home = Path(tempfile.mkdtemp(prefix=name, dir=parent))
        except OSError as error:
            log.debug("No data folder in %s: %s", parent, error)
            continue
        home.chmod(0o711)
        if user.can_enter(home):
            log.info("User %s cannot enter %s: the data is in %s", user.name, folder, home)
            return home
        home.rmdir()
    raise SettingsError(
        f"The user {user.name}, which must run PostgreSQL instead of root, can enter neither "
        f"{folder} nor {' nor '.join(_ELSEWHERE)}. Set LUIGI_TRAFFIC_HOME to a folder it can "
        "enter."
    )
