"""A PostgreSQL server that speaks TLS, with a CA of its own, for tests of roles and connections."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from embedded_servers import let_superuser_in

from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.warehouse.dsn import Dsn

ROLES = Path(__file__).parents[1] / "docker" / "postgres" / "roles.sql"
PASSWORDS = {
    "LUIGI_TRAFFIC_WRITER_PASSWORD": "writer's \\pass \"word' $$ 6f1c",
    "LUIGI_TRAFFIC_READER_PASSWORD": "reader-7d20",
    "MLFLOW_DB_PASSWORD": "mlflow-93ab",
}


@dataclass
class TlsServer:
    """The server's superuser `admin`, the CA its certificate is from, and `roles.sql`."""

    server: EmbeddedServer
    admin: Dsn
    ca: Path
    log: Path

    def role(self, name: str, **changes: Any) -> Dsn:
        """How `luigi_traffic_<name>` connects."""
        password = PASSWORDS[f"LUIGI_TRAFFIC_{name.upper()}_PASSWORD"]
        dsn = replace(
            self.admin, host="localhost", dbname="luigi_traffic",
            user=f"luigi_traffic_{name}", password=password,
            sslmode="verify-full", ca_file=self.ca, require_auth="",
        )  # fmt: skip
        return replace(dsn, **changes)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """As superuser, each statement by itself; the rows of the last one."""
        with closing(psycopg2.connect(**self.admin.kwargs())) as conn:
            conn.autocommit = True
            with conn.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def psql(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`psql` as superuser."""
        user = ServerUser.choose()
        data = Path(self.sql("SHOW data_directory")[0][0])
        return subprocess.run(
            [Binaries.usable_by(user, data.parent).tool("psql"), "-X", *words],
            env={
                "PATH": os.environ["PATH"], "PGHOST": self.admin.host, "LC_ALL": "C",
                "PGPORT": str(self.admin.port), "PGUSER": self.admin.user,
                "PGPASSWORD": self.admin.password, "PGDATABASE": "postgres", **environment,
            },
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def make_roles(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `roles.sql`."""
        return self.psql(*words, "-f", str(ROLES), **(environment or PASSWORDS))


@contextmanager
def tls_server(folder: Path, ca: str = "CA of a test") -> Iterator[TlsServer]:
    """A new server whose certificate is for localhost, without our roles."""
    server = EmbeddedServer(folder / "postgres")
    try:
        admin = let_superuser_in(server, "postgres")
        made = TlsServer(server, admin, folder / "ca.pem", folder / "postgres" / "server.log")
        data = Path(made.sql("SHOW data_directory")[0][0])
        roles = "luigi_traffic_writer, luigi_traffic_reader, luigi_traffic_owner"
        made.sql("DROP DATABASE luigi_traffic", f"DROP ROLE {roles}")
        _certificate(made.ca, data, ca)
        made.sql("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        yield made
    finally:
        server.destroy()


def _certificate(ca_file: Path, data: Path, ca: str) -> None:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ca)])
    now = datetime.now(UTC)

    def signed(
        subject: x509.Name, public: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> bytes:
        builder = (
            x509.CertificateBuilder(ca_name, subject, public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca_file.write_bytes(signed(ca_name, ca_key.public_key(), x509.BasicConstraints(True, None)))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for name, content in (
        ("server.crt", signed(subject, key.public_key(), names)),
        ("server.key", private),
    ):
        path = data / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        ServerUser.choose().own(path)
