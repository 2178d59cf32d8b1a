"""`python3 docker/digests.py`: pins the images that are pulled by digest, beside their tag.

A tag can be moved to another image, a digest cannot. They are not in the repository, because the
machines that it is tested on reach no registry of images, and a digest that nobody has pulled is
worth nothing. Run this where Docker is, once and after each change of a tag, and keep the change;
with `--check` it writes nothing and exits with 1 where a digest is missing.
"""
# As in secrets.py: nothing here may import `secrets`, or something that does.

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCKER = Path(__file__).parent
FILES = (DOCKER / "compose.yml", DOCKER / "Dockerfile", DOCKER / "minio" / "Dockerfile")
#: A line that names an image with its tag. Of ours, and of a stage of a Dockerfile, there is none.
IMAGE = re.compile(
    r"^(?P<before> +image: |FROM )(?P<name>(?!luigi-traffic)[\w./-]+:[\w.-]+)"
    r"(?P<digest>@sha256:[0-9a-f]{64})?",
    re.MULTILINE,
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def images(files: tuple[Path, ...]) -> dict[str, set[str]]:
    """Image with tag → digests that it is named with; "" where it is named without."""
    found: dict[str, set[str]] = {}
    for file in files:
        for match in IMAGE.finditer(file.read_text(encoding="utf-8")):
            found.setdefault(match["name"], set()).add(match["digest"] or "")
    return found


def ask(image: str) -> str:
    """The digest that its registry has for the tag: of all platforms together."""
    words = ["docker", "buildx", "imagetools", "inspect", image]
    try:
        done = subprocess.run(
            [*words, "--format", "{{.Manifest.Digest}}"], capture_output=True, text=True
        )
    except OSError:
        sys.exit("error: `docker` is not here, and only it can ask a registry")
    found = done.stdout.strip()
    if done.returncode != 0 or not _DIGEST.fullmatch(found):
        sys.exit(f"error: no digest of {image}: {(done.stderr or done.stdout).strip()}")
    return found


def pin(files: tuple[Path, ...], digests: dict[str, str]) -> None:
    """Write each image with its digest."""
    for file in files:
        text = file.read_text(encoding="utf-8")
        file.write_text(
            IMAGE.sub(lambda m: f"{m['before']}{m['name']}@{digests[m['name']]}", text),
            encoding="utf-8",
        )


def main(words: list[str], files: tuple[Path, ...] = FILES) -> int:
    """The exit code."""
    found = images(files)
    if words == ["--check"]:
        wrong = sorted(image for image, digests in found.items() if len(digests - {""}) != 1
                       or "" in digests)  # fmt: skip
        for image in wrong:
            sys.stdout.write(f"{image} has no digest, or more than one\n")
        return 1 if wrong else 0
    if words:
        sys.exit(__doc__)
    digests = {image: ask(image) for image in sorted(found)}
    pin(files, digests)
    for image, digest in digests.items():
        sys.stdout.write(f"{image} is {digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
