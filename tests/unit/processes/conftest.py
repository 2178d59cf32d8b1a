"""Servers as a user gets them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_servers() -> None:
    """None: what creates a server is tested here."""
