"""The authority, and a real TLS handshake with its certificate."""

from __future__ import annotations

import ssl
import stat
from datetime import timedelta

import certificates
import pytest
from certificates import Certificates


def handshake(made: Certificates, name: str) -> str:
    """What a client that trusts the authority agrees on with the server; no socket between."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    client = ssl.create_default_context(cafile=str(made.authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = client.wrap_bio(to_client, to_server, server_hostname=name)
    here = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (there, here):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return there.version() or ""


@pytest.fixture
def made(tmp_path) -> Certificates:
    found = Certificates.at(tmp_path)
    found.ensure()
    return found


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_clients_accept_it(made, name):
    assert handshake(made, name) == "TLSv1.3"


def test_not_under_another_name(made):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"example\.org"):
        handshake(made, "example.org")


def test_not_by_another_authority(made, tmp_path_factory):
    other = Certificates.at(tmp_path_factory.mktemp("other"))
    other.ensure()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(Certificates(other.authority, made.certificate, made.key), "localhost")


def test_only_we_read_the_key_and_nobody_keeps_the_authoritys(made, tmp_path):
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ca.pem",
        "server.key",
        "server.pem",
    ]


def test_are_kept_until_they_end_soon(made, monkeypatch, tmp_path):
    before = made.certificate.read_text()
    made.ensure()
    assert made.certificate.read_text() == before
    monkeypatch.setattr(certificates, "RENEW", certificates.VALID + timedelta(days=1))
    made.ensure()
    assert made.certificate.read_text() != before
    assert handshake(made, "localhost") == "TLSv1.3"


def test_an_authority_that_did_not_sign_it_is_replaced(made, tmp_path_factory):
    """Killed between the two files."""
    other = Certificates.at(tmp_path_factory.mktemp("other"))
    other.ensure()
    made.authority.write_text(other.authority.read_text())
    made.ensure()
    assert handshake(made, "localhost") == "TLSv1.3"
