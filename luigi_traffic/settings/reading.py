"""Reading the settings layers, and saying where a value came from when it is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from luigi_traffic.errors import SettingsError, did_you_mean
from luigi_traffic.settings import yaml_lines

PREFIX = "LUIGI_TRAFFIC__"
SECTIONS = ("datasets", "models")
_SUFFIXES = (".yml", ".yaml")
M = TypeVar("M", bound=BaseModel)
_URL = re.compile(r"""(\w+://)([^\s'"/]*@)?([^\s'"?]*)(\?[^\s'"]*)?""")


def home() -> Path:
    """The one folder of all local state: LUIGI_TRAFFIC_HOME, or ./.luigi_traffic."""
    return Path(os.environ.get("LUIGI_TRAFFIC_HOME") or ".luigi_traffic").expanduser().absolute()


def conf_folder() -> Path:
    """The folder of settings files: LUIGI_TRAFFIC_CONF, or ./conf."""
    return Path(os.environ.get("LUIGI_TRAFFIC_CONF") or "conf").expanduser().absolute()


def profile() -> str:
    """The profile of this process: LUIGI_TRAFFIC_PROFILE, or local."""
    return os.environ.get("LUIGI_TRAFFIC_PROFILE") or "local"


def _files(folder: Path) -> dict[str, list[Path]]:
    """Name → its files of settings, in the order of the names; more than one is an error."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*")):
        if file.suffix in _SUFFIXES and file.is_file():
            found.setdefault(file.stem, []).append(file)
    return found


def unread(folder: Path) -> list[Path]:
    """YAML files in folders of the folder of settings that nobody reads."""
    read = {f for section in SECTIONS for files in _files(folder / section).values() for f in files}
    return sorted(
        file
        for file in folder.glob("*/**/*")
        if file.suffix in _SUFFIXES and file.is_file() and file not in read
    )


@dataclass
class Layers:
    """The merged values, which place set each key, and every place that was looked in.

    A place in `origin` is `<file>:<line>` or `environment <variable>`.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=lambda: ["packaged defaults"])
    #: (section, name) of a dataset or model whose file cannot be read → the file, and why. It
    #: stops only what asks for that dataset or model.
    unreadable: dict[tuple[str, str], tuple[Path, SettingsError]] = field(default_factory=dict)

    @staticmethod
    def variable(path: str) -> str:
        """The environment variable of a dotted key."""
        return PREFIX + path.replace(".", "__").upper()

    @classmethod
    def read(cls, folder: Path, profile: str, environ: Mapping[str, str]) -> Layers:
        """All layers, in order: files of the folder of settings, then the environment."""
        found = cls()
        files = _files(folder)
        found._file(files.get("base", [folder / "base.yml"]), ())
        profile_files = files.get(profile, [folder / f"{profile}.yml"])
        profile_file = profile_files[0]
        if not profile_file.is_file() and profile != "local":
            known = {*files} - {"base"}
            raise SettingsError(
                f"LUIGI_TRAFFIC_PROFILE={profile}: the file {profile_file} does not exist. Run in "
                "the folder that contains conf, or set LUIGI_TRAFFIC_CONF to its path."
                + did_you_mean(profile, known)
            )
        found._file(profile_files, ())
        for section in SECTIONS:
            for name, several in _files(folder / section).items():
                try:
                    found._file(several, (section, name))
                except SettingsError as e:
                    found.unreadable[section, name] = several[0], e
        found._environment(environ)
        return found

    def lay_file(self, file: Path, under: tuple[str, ...]) -> None:
        """Lay what a file says over what is known, under the keys `under`."""
        self._file([file], under)

    def lay(self, values: dict[Any, Any], place: str) -> None:
        """Lay values over what is known; `place` is named where one is wrong."""
        self._merge(values, place)

    def _file(self, files: list[Path], under: tuple[str, ...]) -> None:
        file, *others = files
        for other in others:  # one of the two would be ignored
            raise SettingsError(
                f"both {file} and {other.name} exist: put all settings of {file.stem!r} into "
                "one of them and remove the other"
            )
        if not file.is_file():
            self.places.append(f"{file} (absent)")
            return
        self.places.append(str(file))
        try:
            content, lines = yaml_lines.read(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as e:
            raise SettingsError(f"{file} is not valid YAML: {e}") from e
        except OSError as e:
            raise SettingsError(f"{file} cannot be read: {e.strerror}") from e
        except SettingsError as e:
            raise SettingsError(f"{file}, {e}") from None
        if content is None:
            return
        if not isinstance(content, dict):
            raise SettingsError(
                f"{file} must contain `key: value` lines, not {type(content).__name__}"
            )
        for name in reversed(under):
            content = {name: content}
        above = "".join(f"{name}." for name in under)
        self._merge(content, str(file), {above + key: line for key, line in lines.items()})

    def _environment(self, environ: Mapping[str, str]) -> None:
        self.places.append(f"environment {PREFIX}…")
        for variable in sorted(environ):
            if variable.startswith(PREFIX):
                content: Any = _environment_value(environ[variable])
                for name in reversed(variable.removeprefix(PREFIX).lower().split("__")):
                    content = {name: content}
                self._merge(content, f"environment {variable}")

    def _merge(
        self, content: dict[Any, Any], place: str, lines: Mapping[str, int] | None = None
    ) -> None:
        def at(path: str) -> str:
            line = lines.get(path) if lines else None
            return f"{place}:{line}" if line else place

        def into(target: dict[str, Any], more: dict[Any, Any], path: str) -> None:
            for key, value in more.items():
                here = f"{path}.{key}" if path else str(key)
                if isinstance(value, dict) and isinstance(target.get(str(key)), dict):
                    into(target[str(key)], value, here)
                else:
                    # What was below it in an earlier layer is gone with it.
                    for gone in [known for known in self.origin if known.startswith(f"{here}.")]:
                        del self.origin[gone]
                    target[str(key)] = {} if isinstance(value, dict) else value
                    self.origin[here] = at(here)
                    if isinstance(value, dict):
                        into(target[str(key)], value, here)
                    elif isinstance(value, list):
                        self.origin |= {
                            f"{here}.{number}": at(f"{here}.{number}")
                            for number in range(len(value))
                        }

        into(self.values, content, "")

    def place_of(self, path: str) -> str | None:
        """Where a key, or the nearest key above it, was set."""
        while path:
            if path in self.origin:
                return self.origin[path]
            path = path.rpartition(".")[0]
        return None

    def told(self, path: str, what: str) -> str:
        """The line about a key whose value does not fit the other keys."""
        return f"setting {path!r}, set in {self.place_of(path)}: {what}"

    def with_places(self, told: list[str]) -> str:
        """A line for each wrong key, and below them every place that was looked in.

        Addresses among the values are shown without user, password and query.
        """
        safe = [_URL.sub(lambda url: f"{url[1]}{url[3]}{'?…' if url[4] else ''}", t) for t in told]
        return "\n".join([*safe, f"  looked in, last wins:{self.looked_in()}"])

    def looked_in(self) -> str:
        """Every place, one a line."""
        return "".join(f"\n    - {place}" for place in self.places)


def _environment_value(text: str) -> Any:
    """Lists and mappings may be written as YAML; all else stays text, typed by its setting."""
    if text[:1] in ("[", "{"):
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            return text
        if isinstance(value, list | dict):
            return value
    return text


def validated(model: type[M], values: Mapping[str, Any], prefix: str, found: Layers) -> M:
    """`values` as `model`, or a `SettingsError` with one line for each wrong key.

    `prefix` is the dotted key that `values` lies under. A secret that a file holds is refused.
    """
    for path in secrets(model, f"{prefix}." if prefix else ""):
        place = found.origin.get(path, "")
        if place and not place.startswith("environment"):
            raise SettingsError(
                f"{path} is set in {place}: secrets come from the environment only. "
                f"Remove it there and set {found.variable(path)}."
            )
    try:
        return model.model_validate(dict(values))
    except ValidationError as e:
        # An unknown key may be the missing one, misspelt: it is told first.
        problems = sorted(e.errors(), key=lambda problem: problem["type"] == "missing")
        told = [_explain(problem, model, prefix, found) for problem in problems]
        raise SettingsError(found.with_places(told)) from None


def secrets(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted keys of the settings that are secret: their type is `SecretStr`."""
    found: list[str] = []
    for name, info in model.model_fields.items():
        if info.annotation in (SecretStr, SecretStr | None):
            found.append(prefix + name)
        elif isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found += secrets(info.annotation, f"{prefix}{name}.")
    return found


def _explain(problem: Any, model: type[BaseModel], prefix: str, found: Layers) -> str:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    path = ".".join([prefix, *location] if prefix else location)
    place = found.place_of(path)
    if problem["type"] == "extra_forbidden":
        known = _fields(model, location[:-1])
        return f"unknown setting {path!r}, set in {place}.{did_you_mean(location[-1], known)}"
    if problem["type"] == "missing":
        where = f"below {place}" if place else "in a file"
        return f"setting {path!r} is missing. Set {Layers.variable(path)} or write it {where}."
    secret = path in secrets(model, f"{prefix}." if prefix else "")
    shown = "" if secret else f" to {problem['input']!r}"
    said = str(problem["msg"]).removeprefix("Value error, ")
    return f"setting {path!r} is set{shown} in {place}: {said}"


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        field_type: Any = (
            model.model_fields[name].annotation if name in model.model_fields else None
        )
        candidates = [field_type, *get_args(field_type)] if get_origin(field_type) else [field_type]
        inner = [t for t in candidates if isinstance(t, type) and issubclass(t, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
