"""Calls into a plugin's code: what it raises, prints or never returns from stops nobody else."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar, cast

from luigi_traffic.errors import PluginError, TrafficError, missing_extra

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """One plugin: where it is from, and why it did not load where it did not."""

    name: str
    distribution: str
    version: str
    problem: str | None = None
    disabled: bool = False

    def __str__(self) -> str:
        return f"plugin {self.name} ({self.distribution})"

    @property
    def requirement(self) -> str | None:
        """What pip calls it, `distribution==version`; None if it is no installed distribution."""
        try:
            version(self.distribution)
        except PackageNotFoundError:  # a file in a folder
            return None
        return f"{self.distribution}=={self.version}"


def guarded(origin: Found, what: str, function: Callable[[], T], seconds: float) -> T:
    """`function()`, a call into the plugin `origin`; `what` is the hook or method, as `source()`.

    What it prints goes to standard error: standard output is the command's, which may be JSON.
    A `TrafficError` passes as it is. Raises `PluginError` that names plugin, distribution and
    hook for any other exception, and where the call has not returned after `seconds`; it then
    goes on in a thread that does not keep the process alive.
    """
    done: dict[str, Any] = {}

    def work() -> None:
        try:
            done["value"] = function()
        # A plugin is somebody else's code: all it raises, SystemExit too, is told below.
        except BaseException as e:  # noqa: BLE001
            done["error"] = e

    thread = threading.Thread(target=work, name=f"{origin.name} {what}", daemon=True)
    with redirect_stdout(sys.stderr):
        thread.start()
        thread.join(seconds)
    if not done:
        raise PluginError(
            f"{origin}: {what} has not returned after {seconds:g} s (plugins.timeout_seconds). It "
            "should only report what it provides; work that waits for a network or a disk "
            "belongs in the source's open()."
        )
    error = done.get("error")
    if isinstance(error, TrafficError):
        raise error
    if error is not None:
        if missing := missing_extra(error):
            raise PluginError(f"{origin}: {missing}") from error
        told = str(error) or "no message"
        raise PluginError(f"{origin}: {what} raised {type(error).__name__}: {told}") from error
    return cast(T, done["value"])
