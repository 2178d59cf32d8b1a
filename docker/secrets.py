"""`python3 docker/secrets.py`: makes docker/.env and docker/tls, which the compose file asks for.

It needs Python and the program `openssl`, nothing else, and overwrites nothing.
"""
# This folder comes first on Python's path, and this file has the name of a module of Python's
# own: nothing here may import `secrets`, or something that does. Hence os.urandom and openssl.

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: As the stack without containers has them (docker/native/passwords.py).
NAMES = (
    "MINIO_ROOT_USER",
    "MINIO_ROOT_PASSWORD",
    "LUIGI_TRAFFIC__LAKE__ACCESS_KEY",
    "LUIGI_TRAFFIC__LAKE__SECRET_KEY",
    "MLFLOW_S3_ACCESS_KEY",
    "MLFLOW_S3_SECRET_KEY",
    "POSTGRES_PASSWORD",
    "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD",
    "LUIGI_TRAFFIC_READER_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "LUIGI_TRAFFIC__SPARK__TOKEN",
    "SPARK_AUTHENTICATE_SECRET",
)
CLUSTER_ID = "KAFKA_CLUSTER_ID"
#: Each has a certificate for the name by which its clients know it, and for this machine.
SERVERS = ("postgres", "spark-tls")
DAYS = 825
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
_CONFIG = """\
[req]
prompt = no
distinguished_name = name
[name]
CN = {common}
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:{common}, DNS:localhost, IP:127.0.0.1, IP:::1
"""


def lines() -> str:
    """The content of .env: a name and a random value a line."""
    # An S3 access key has at most 20 characters, a secret key 40.
    short = ("_USER", "ACCESS_KEY")
    values = {name: os.urandom(8 if name.endswith(short) else 16).hex() for name in NAMES}
    # 22 characters of base64; one that begins with "-" would be taken for an option.
    values[CLUSTER_ID] = "A" + base64.urlsafe_b64encode(os.urandom(16)).decode()[1:22]
    return "".join(f"{name}={value}\n" for name, value in values.items())


def write_env(file: Path) -> bool:
    """Write it, readable for its owner only; False where it is there already."""
    if file.exists():
        return False
    attempt, path = tempfile.mkstemp(dir=file.parent, prefix=".env-new-")  # mode 0600
    try:
        with os.fdopen(attempt, "w", encoding="utf-8") as new:
            new.write(lines())
        Path(file).hardlink_to(path)  # fails where another one was first
    finally:
        Path(path).unlink()
    return True


def write_tls(folder: Path) -> bool:
    """Make an authority and the servers' certificates; False where the folder is there already.

    The folder is open to its owner only. The keys in it are readable: a server reads its own
    through a mount, as another user than the owner of the folder.
    """
    if folder.exists():
        return False
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tls-new-") as scratch:
        new = Path(scratch)
        made = new / "tls"
        made.mkdir(mode=0o700)
        # A random part in the name: an authority made anew is another authority.
        _config(new / "ca.cnf", f"luigi_traffic stack {os.urandom(8).hex()}")
        _openssl("req", "-x509", *_KEY, "-keyout", new / "ca.key", "-out", made / "ca.pem",
                 "-days", DAYS, "-config", new / "ca.cnf", "-extensions", "authority")  # fmt: skip
        for server in SERVERS:
            config = _config(new / f"{server}.cnf", server)
            request, key = new / f"{server}.csr", made / f"{server}.key"
            _openssl("req", "-new", *_KEY, "-keyout", key, "-out", request, "-config", config)
            _openssl("x509", "-req", "-in", request, "-CA", made / "ca.pem",
                     "-CAkey", new / "ca.key", "-set_serial", f"0x{os.urandom(16).hex()}",
                     "-out", made / f"{server}.pem", "-days", DAYS,
                     "-extfile", config, "-extensions", "server")  # fmt: skip
        for file in made.iterdir():
            file.chmod(0o644)
        # The authority's key goes with the scratch folder: nobody can use it for more.
        made.rename(folder)
    return True


def _config(file: Path, common: str) -> Path:
    file.write_text(_CONFIG.format(common=common), encoding="utf-8")
    return file


def _openssl(*words: object) -> None:
    done = subprocess.run(
        ["openssl", *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"openssl {words[0]} failed: {done.stderr.strip()}")


def main(folder: Path) -> int:
    """Make what is missing in `folder`; 1 where nothing is."""
    if shutil.which("openssl") is None:
        sys.exit("`openssl` is not on the PATH: install it, it makes the certificates.")
    env, tls = folder / ".env", folder / "tls"
    made = [path for path, write in ((env, write_env), (tls, write_tls)) if write(path)]
    for path in (env, tls):
        sys.stdout.write(f"{'made' if path in made else 'left as it is'}: {path}\n")
    if not made:
        sys.stderr.write(
            "Nothing is overwritten. Remove docker/tls for new certificates. New passwords are a "
            "change in the servers too: docs/stack.md, Secrets.\n"
        )
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent))
