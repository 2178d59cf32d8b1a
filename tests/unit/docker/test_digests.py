"""docker/digests.py, with a program that plays Docker's part: no registry is reached here."""

from __future__ import annotations

import os
import runpy
import shutil
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[3] / "docker"
DIGESTS = runpy.run_path(str(DOCKER / "digests.py"))
#: Answers with a digest made of the image's name; knows no nginx if told so.
FAKE = """#!/bin/sh
[ "$*" = "buildx imagetools inspect $4 --format {{.Manifest.Digest}}" ] || exit 9
case "$4" in *"$UNKNOWN"*) echo "$4: not found" >&2; exit 1;; esac
printf 'sha256:%s\\n' "$(printf %s "$4" | sha256sum | cut -d' ' -f1)"
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    """Copies of those of the repository."""
    copies = []
    for file in DIGESTS["FILES"]:
        copies.append(tmp_path / file.relative_to(DOCKER))
        copies[-1].parent.mkdir(exist_ok=True)
        shutil.copy(file, copies[-1])
    return tuple(copies)


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(FAKE)
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("UNKNOWN", "nothing like that")


@pytest.mark.usefixtures("docker")
def test_every_image_that_is_pulled_gets_its_digest(files) -> None:
    before = [file.read_text() for file in files]
    named = {name.partition(":")[0] for name in DIGESTS["images"](files)}
    assert named == {"apache/kafka", "postgres", "nginxinc/nginx-unprivileged", "python",
                     "maven", "golang", "alpine"}  # fmt: skip
    assert DIGESTS["main"](["--check"], files) == 1
    assert DIGESTS["main"]([], files) == 0
    assert DIGESTS["main"](["--check"], files) == 0
    for image, digests in DIGESTS["images"](files).items():
        (digest,) = digests
        assert digest == f"@{DIGESTS['ask'](image)}"
    # Nothing else has changed, and a second time nothing at all.
    pinned = [file.read_text() for file in files]
    plain = [DIGESTS["IMAGE"].sub(r"\g<before>\g<name>", text) for text in pinned]
    assert plain == [DIGESTS["IMAGE"].sub(r"\g<before>\g<name>", text) for text in before]
    assert "image: luigi-traffic:local\n" in pinned[0]
    assert DIGESTS["main"]([], files) == 0
    assert [file.read_text() for file in files] == pinned


@pytest.mark.usefixtures("docker")
def test_an_image_that_is_not_there_changes_nothing(files, monkeypatch) -> None:
    monkeypatch.setenv("UNKNOWN", "nginx")
    before = [file.read_text() for file in files]
    with pytest.raises(SystemExit, match=r"no digest of nginxinc/.*not found"):
        DIGESTS["main"]([], files)
    assert [file.read_text() for file in files] == before


def test_without_docker_it_says_so(files, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="`docker` is not here"):
        DIGESTS["main"]([], files)


def test_an_image_has_one_digest_or_none() -> None:
    """Whoever pins them keeps the other tests green, and pins all uses of an image."""
    for image, digests in DIGESTS["images"](DIGESTS["FILES"]).items():
        assert len(digests) == 1, image
