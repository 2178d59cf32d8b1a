"""The compose file as parsed, and the environments that it gives to its services."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).parents[3] / "docker"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[?-])(?P<text>[^}]*))?\}")


@dataclass
class Compose:
    """`text` as written, `services` with YAML's merges done and nothing filled in."""

    text: str
    whole: dict[str, Any]

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return self.whole["services"]

    def ours(self) -> dict[str, dict[str, Any]]:
        """Services that run the image of docker/Dockerfile."""
        return {n: s for n, s in self.services.items() if s["image"].startswith("luigi-traffic:")}

    def image(self, service: str) -> str:
        """Name and tag, without the digest that `docker/digests.py` adds."""
        return str(self.services[service]["image"]).partition("@")[0]

    def filled(self, value: str) -> str:
        """As compose fills it in: required variables get a value made of their name."""

        def fill(match: re.Match[str]) -> str:
            required = match["how"] == "?"
            return f"value-of-{match['name'].lower()}" if required else match["text"]

        return VARIABLE.sub(fill, value).replace("$$", "$")

    def environment(self, service: str) -> dict[str, str]:
        given = self.services[service].get("environment", {})
        return {name: self.filled(str(value)) for name, value in given.items()}

    def command(self, service: str) -> list[str]:
        return [self.filled(word) for word in self.services[service]["command"]]


@pytest.fixture(scope="session")
def compose() -> Compose:
    text = (DOCKER / "compose.yml").read_text(encoding="utf-8")
    return Compose(text, yaml.safe_load(text))
