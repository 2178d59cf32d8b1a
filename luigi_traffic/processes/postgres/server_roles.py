"""The roles of an embedded server: those of docker/postgres/roles.sql, and no superuser logs in.

initdb's superuser has no password, so it cannot log in: what needs it is done in single-user
mode, on a server that does not run (docs/decisions/0026-embedded-roles.md).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

SUPERUSER = "luigi_traffic"
OWNER = "luigi_traffic_owner"
WRITER = "luigi_traffic_writer"
READER = "luigi_traffic_reader"
DATABASE = "luigi_traffic"

#: The file of the password of each role that logs in.
PASSWORD_FILES = {WRITER: "password", READER: "reader-password"}

_ITERATIONS = 4096  # PostgreSQL's own default
_POWERLESS = "NOSUPERUSER NOCREATEDB NOCREATEROLE"


def of_the_server(passwords: dict[str, str]) -> list[str]:
    """Statements that make the roles, or make them so, and open the database to them alone."""
    names = ", ".join(f"'{name}'" for name in (OWNER, WRITER, READER))
    return [
        f"DO $$ DECLARE n text; BEGIN FOREACH n IN ARRAY ARRAY[{names}] LOOP"
        " IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = n) THEN"
        " EXECUTE format('CREATE ROLE %I', n); END IF; END LOOP; END $$",
        f"ALTER ROLE {OWNER} NOLOGIN {_POWERLESS}",
        *(
            f"ALTER ROLE {name} LOGIN {_POWERLESS} PASSWORD '{verifier(password)}'"
            for name, password in passwords.items()
        ),
        f"ALTER ROLE {SUPERUSER} PASSWORD NULL",
        f"ALTER DATABASE {DATABASE} OWNER TO {OWNER}",
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {WRITER}, {READER}",
        f"GRANT {OWNER} TO {WRITER}",
        # Who waits for a table names who uses it, since when.
        f"GRANT pg_read_all_stats TO {OWNER}",
        f"ALTER ROLE {WRITER} IN DATABASE {DATABASE} SET role = '{OWNER}'",
        f"ALTER ROLE {READER} IN DATABASE {DATABASE} SET default_transaction_read_only = on",
        f"ALTER ROLE {READER} IN DATABASE {DATABASE}"
        " SET idle_in_transaction_session_timeout = '10min'",
    ]


def of_the_database() -> list[str]:
    """Statements that give all that is in the database to the owner, and the reader its rights."""
    schemas = (
        "SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_'"
        " AND nspname NOT IN ('information_schema', 'public')"
    )
    return [
        # What a version of format 1 made as superuser. Indexes and the sequences of columns follow
        # their tables.
        f"DO $$ DECLARE s record; t record; BEGIN FOR s IN {schemas} LOOP"  # noqa: S608 - constants
        f" EXECUTE format('ALTER SCHEMA %I OWNER TO {OWNER}', s.nspname);"
        " FOR t IN SELECT relname FROM pg_class WHERE relnamespace = s.oid"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f') LOOP"
        f" EXECUTE format('ALTER TABLE %I.%I OWNER TO {OWNER}', s.nspname, t.relname);"
        " END LOOP;"
        " FOR t IN SELECT oid::regprocedure AS signature FROM pg_proc"
        " WHERE pronamespace = s.oid LOOP"
        f" EXECUTE format('ALTER ROUTINE %s OWNER TO {OWNER}', t.signature);"
        " END LOOP; END LOOP; END $$",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT USAGE ON SCHEMAS TO {READER}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT ON TABLES TO {READER}",
        f"DO $$ DECLARE s record; BEGIN FOR s IN {schemas} LOOP"
        f" EXECUTE format('GRANT USAGE ON SCHEMA %I TO {READER}', s.nspname);"
        f" EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO {READER}', s.nspname);"
        " END LOOP; END $$",
        # The one thing that PostgreSQL lets everybody create.
        "REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea)"
        " FROM PUBLIC",
    ]


def verifier(password: str) -> str:
    """What PostgreSQL stores of a password of ASCII (SCRAM-SHA-256): it may stand in a log."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    one, two, three = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{one}${two}:{three}"
