"""docker/secrets.py, run as its users run it."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

SCRIPT = Path(__file__).parents[3] / "docker" / "secrets.py"


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    shutil.copy(SCRIPT, folder)
    return subprocess.run(
        [sys.executable, "secrets.py"], cwd=folder, env=environment or None,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def values(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docker")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    for value in values(folder).values():
        assert value not in done.stdout + done.stderr
    return folder


def test_values_are_random_and_for_their_owner_only(made, tmp_path) -> None:
    assert mode(made / ".env") == 0o600
    first = values(made)
    assert len(set(first.values())) == len(first)
    run(tmp_path / "other")
    second = values(tmp_path / "other")
    assert set(first) == set(second)
    assert not set(first.values()) & set(second.values())
    for name, value in first.items():
        if name == "KAFKA_CLUSTER_ID":
            assert re.fullmatch(r"A[\w-]{21}", value)
        elif name.endswith(("_USER", "ACCESS_KEY")):
            assert re.fullmatch("[0-9a-f]{16}", value), name
        else:
            assert re.fullmatch("[0-9a-f]{32}", value), name


def test_nothing_is_overwritten_and_nothing_is_left_about(made) -> None:
    before = {p: p.read_bytes() for p in made.rglob("*") if p.is_file()}
    again = run(made)
    assert again.returncode == 1
    assert "Nothing is overwritten" in again.stderr
    assert before == {p: p.read_bytes() for p in made.rglob("*") if p.is_file()}
    assert {p.name for p in made.iterdir()} == {"secrets.py", ".env", "tls"}


def test_what_is_missing_is_made_alone(made, tmp_path) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    shutil.copy(made / ".env", folder)
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert (folder / ".env").read_bytes() == (made / ".env").read_bytes()
    assert (folder / "tls" / "ca.pem").read_bytes() != (made / "tls" / "ca.pem").read_bytes()


def test_certificates(made) -> None:
    tls = made / "tls"
    assert mode(tls) == 0o700
    files = {"ca.pem", "postgres.pem", "postgres.key", "spark-tls.pem", "spark-tls.key"}
    assert {p.name for p in tls.iterdir()} == files
    authority = x509.load_pem_x509_certificate((tls / "ca.pem").read_bytes())
    limits = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)
    for name in ("postgres", "spark-tls"):
        certificate = x509.load_pem_x509_certificate((tls / f"{name}.pem").read_bytes())
        certificate.verify_directly_issued_by(authority)
        extensions = certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name, "localhost"]
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert 800 < (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days < 826


def test_without_openssl_it_says_so(tmp_path) -> None:
    done = run(tmp_path / "docker", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "`openssl` is not on the PATH" in done.stderr
    assert not (tmp_path / "docker" / ".env").exists()


def test_git_leaves_out_what_it_makes() -> None:
    ignored = (SCRIPT.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/.env", "/tls/"} <= set(ignored)
