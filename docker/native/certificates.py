"""TLS for the servers of the stack: an authority whose key nobody keeps, and one certificate."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from luigi_traffic.processes.private_folder import write_private

VALID = timedelta(days=825)
RENEW = timedelta(days=30)


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority that clients trust, the server's certificate and its key."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def at(cls, folder: Path) -> Certificates:
        """Those in `folder`, there or not."""
        return cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")

    def ensure(self) -> None:
        """Make them anew where one is missing or ends within a month."""
        if not self._good():
            self._make()

    def _good(self) -> bool:
        if not all(file.exists() for file in (self.authority, self.certificate, self.key)):
            return False
        authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        if certificate.not_valid_after_utc - datetime.now(UTC) < RENEW:
            return False
        key = serialization.load_pem_private_key(self.key.read_bytes(), password=None)
        # Killed while making them: files that do not belong together.
        return (
            certificate.issuer == authority.subject and certificate.public_key() == key.public_key()
        )

    def _make(self) -> None:
        now = datetime.now(UTC)
        ca_key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        # A serial in the name: an authority made anew is another authority.
        ca_name = _name(f"luigi_traffic stack {x509.random_serial_number():x}"[:60])
        authority = (
            _builder(ca_name, ca_name, ca_key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
        usage = [ExtendedKeyUsageOID.SERVER_AUTH]
        certificate = (
            _builder(_name("localhost"), ca_name, key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(signed_by, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(self.key, private.decode())
        for file, content in ((self.certificate, certificate), (self.authority, authority)):
            write_private(file, content.public_bytes(serialization.Encoding.PEM).decode())
            file.chmod(0o644)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
