"""The public API of luigi_traffic as Markdown: signatures and docstrings, as Python has them."""

from __future__ import annotations

import inspect
import typing
from operator import attrgetter
from typing import Any

import luigi_traffic


def api(names: str) -> str:
    """A section for each of the names, comma-separated: classes with their public members.

    A name may be one of a module, for example `functions.lines`.
    """
    return "\n\n".join(_section(name.strip()) for name in names.split(","))


def _section(name: str) -> str:
    thing = attrgetter(name)(luigi_traffic)
    shown = _signature(name, thing)
    parts = [f"### `{shown}`", _text(thing)]
    if inspect.isclass(thing):
        parts += [_member(thing, member) for member in _members(thing)]
    return "\n\n".join(part for part in parts if part)


def _members(cls: type) -> list[str]:
    inherited = {n for base in cls.__mro__[1:] if base.__module__.startswith("luigi_traffic")
                 for n in vars(base)}  # fmt: skip
    functions = (property, classmethod)
    return [
        name
        for name, value in vars(cls).items()
        if not name.startswith(("_", "model_"))
        and (inspect.isfunction(value) or isinstance(value, functions))
        and (name not in inherited or inspect.getdoc(value))
    ]


def _member(cls: type, name: str) -> str:
    value = inspect.getattr_static(cls, name)
    shown = name if isinstance(value, property) else _signature(name, getattr(cls, name))
    return f"`{cls.__name__}.{shown}`\n{_quoted(_text(value))}"


def _signature(name: str, thing: Any) -> str:
    if not callable(thing) or (isinstance(thing, type) and issubclass(thing, Exception)):
        return name
    if isinstance(thing, type) and typing.cast(Any, thing).__init__ is object.__init__:
        return name
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return name
    # Annotations are text here; without them a line stays readable.
    shown = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    return f"{name}{inspect.Signature(shown)}"


def _text(thing: Any) -> str:
    target = thing.__func__ if isinstance(thing, classmethod) else thing
    documented = inspect.getdoc(target) if callable(target) or isinstance(target, property) else ""
    return f"```text\n{documented}\n```" if documented else ""


def _quoted(text: str) -> str:
    return "\n" + text if text else ""
