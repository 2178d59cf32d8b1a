"""Homes on the stack. They share its models: no test outside of this folder may make one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from homes import LocalHome
from small import PIPELINE, SMALL
from stack_home import Stack, StackHome


@pytest.fixture(scope="session")
def make_stack_home(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., StackHome]]:
    homes: list[StackHome] = []

    def make(name: str, **environment: str) -> StackHome:
        home = StackHome.make(stack, tmp_path_factory.mktemp(name) / "home", **environment)
        homes.append(home)
        return home

    yield make
    for home in homes:
        home.remove()


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHome]:
    """The small pipeline, finished on the local profile: what every other run must equal."""
    home = LocalHome(tmp_path_factory.mktemp("local") / "home", SMALL)
    code, output = home.run(*PIPELINE)
    assert code == 0, output
    yield home
    home.server.destroy()


@pytest.fixture(scope="session")
def finished(make_stack_home: Callable[..., StackHome]) -> StackHome:
    """The small pipeline, finished on the stack."""
    home = make_stack_home("finished", **SMALL)
    code, output = home.run(*PIPELINE)
    (home.path / "output.log").write_text(output)
    assert code == 0, output
    return home
