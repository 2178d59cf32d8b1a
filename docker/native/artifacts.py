"""What has to be built or downloaded before a server can start, once for each pinned input.

The cache is LUIGI_TRAFFIC_CACHE, or `luigi_traffic` in the user's cache folder. A folder in
it is named by a hash of the files that pin its content, and gets that name when it is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import inherited
from talk import say, tail

from luigi_traffic.errors import SettingsError, StoreError

DOCKER = Path(__file__).parents[1]
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
#: Made of the moment of its commit, as MinIO's own build names what is no release.
MINIO_RELEASE = "DEVELOPMENT.2026-02-12T20-18-48Z"
_PROGRESS_S = 15.0


@dataclass(frozen=True)
class Artifact:
    """A folder that `command` fills; `{target}` in a word of it stands for that folder."""

    name: str
    inputs: tuple[Path, ...]
    command: tuple[str, ...]
    duration: str
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def program(self) -> str:
        """The program that must be installed for it."""
        return self.command[0]

    @property
    def folder(self) -> Path:
        """Where it lies, or will."""
        digest = hashlib.sha256(repr((self.command, self.environment, _platform())).encode())
        for file in self.inputs:
            digest.update(file.read_bytes())
        return cache() / f"{self.name}-{digest.hexdigest()[:16]}"

    def missing_program(self) -> str | None:
        """Why it cannot be made here: None where it is made already, or can be."""
        if self.folder.exists() or shutil.which(self.program):
            return None
        return f"`{self.program}` is not on the PATH: it is needed to get {self.name}."

    def get(self, log: Path) -> Path:
        """The folder, made now where it is missing. What the tools say goes to `log`.

        Raises `StoreError` with the end of the log where that fails.
        """
        folder = self.folder
        if folder.exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        # One build of a program at a time: Maven's own folder is not made for two.
        with _locked(cache() / f"{self.program}.lock"):
            if folder.exists():
                return folder
            for leftover in folder.parent.glob(f"{self.name}-*.new-*"):
                shutil.rmtree(leftover)
            attempt = folder.with_name(f"{folder.name}.new-{secrets.token_hex(4)}")
            attempt.mkdir()
            words = [word.replace("{target}", str(attempt)) for word in self.command]
            _run(
                self.name,
                words,
                {**inherited.environment(), **dict(self.environment)},
                log,
                self.duration,
            )
            attempt.rename(folder)
        return folder


def cache() -> Path:
    """The folder of all builds and downloads."""
    named = os.environ.get("LUIGI_TRAFFIC_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "luigi_traffic"


def _platform() -> tuple[str, str]:
    return platform.system(), platform.machine()


def _maven(name: str, pom: Path) -> Artifact:
    words = ["mvn", "--batch-mode", "--no-transfer-progress", "--strict-checksums"]
    words += ["--file", str(pom), f"{MAVEN_PLUGIN}:copy-dependencies"]
    words += ["-DincludeScope=runtime", "-DoutputDirectory={target}"]
    return Artifact(name, (pom,), tuple(words), "a minute")


def _minio() -> Artifact:
    module = DOCKER / "minio"
    about = "github.com/minio/minio/cmd"
    date = MINIO_RELEASE.partition(".")[2]
    day, _, hour = date.partition("T")
    version = f"{day}T{hour.replace('-', ':')}"
    flags = f"-s -w -X {about}.Version={version} -X {about}.ReleaseTag={MINIO_RELEASE}"
    words = ["go", "build", "-C", str(module), "-mod=readonly", "-trimpath", "-ldflags", flags]
    words += ["-o", "{target}/minio", "github.com/minio/minio"]
    inputs = (module / "go.mod", module / "go.sum")
    return Artifact("minio", inputs, tuple(words), "5 minutes", (("CGO_ENABLED", "0"),))


MINIO = _minio()
KAFKA = _maven("kafka", DOCKER / "kafka" / "pom.xml")
SPARK_S3A = _maven("spark-s3a", DOCKER / "spark" / "pom.xml")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, duration: str
) -> None:
    say(name, f"{command[0]} gets it, about {duration} the first time; it says more in {log}")
    began = time.monotonic()
    said = began
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )
        except FileNotFoundError as error:
            raise SettingsError(f"{name} is made by `{command[0]}`, which is not here.") from error
        while process.poll() is None:
            if time.monotonic() - said > _PROGRESS_S:
                said = time.monotonic()
                say(name, f"{command[0]} is at it, {said - began:.0f} s")
            time.sleep(0.2)
    if process.returncode != 0:
        raise StoreError(
            f"{command[0]} could not get {name}: is its registry reachable? Run it again to try "
            f"again. {tail(log)}"
        )
    say(name, f"got it in {time.monotonic() - began:.0f} s")
