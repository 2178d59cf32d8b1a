-- Roles and databases of luigi_traffic and MLflow. Run once by a superuser, with psql 14 or newer:
--
--   LUIGI_TRAFFIC_WRITER_PASSWORD=… LUIGI_TRAFFIC_READER_PASSWORD=… MLFLOW_DB_PASSWORD=… \
--     psql -X -f roles.sql postgres
--
-- Running it again changes nothing but the passwords, which become those of the environment.
-- Why these roles: docs/decisions/0016-roles.md.

\set ON_ERROR_STOP on

-- The statements below hold passwords in clear until the server has made a SCRAM verifier of
-- them. They must be in no log and in no view of running or past statements. An extension
-- that is not loaded takes its setting as a name that means nothing.
\set ECHO none
\set VERBOSITY terse
\set QUIET on
SET client_min_messages = 'warning';
SET track_activities = off;
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;
SET log_transaction_sample_rate = 0;
SET log_min_error_statement = 'panic';
SET pg_stat_statements.track = 'none';
SET auto_explain.log_min_duration = -1;
SET pgaudit.log = 'none';
SET password_encryption = 'scram-sha-256';

\set writer_password ''
\set reader_password ''
\set mlflow_password ''
\getenv writer_password LUIGI_TRAFFIC_WRITER_PASSWORD
\getenv reader_password LUIGI_TRAFFIC_READER_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD
SELECT '' IN (:'writer_password', :'reader_password', :'mlflow_password') AS missing \gset
\if :missing
DO $$ BEGIN
    RAISE EXCEPTION 'Set LUIGI_TRAFFIC_WRITER_PASSWORD, LUIGI_TRAFFIC_READER_PASSWORD and '
        'MLFLOW_DB_PASSWORD in the environment of psql.';
END $$;
\endif

-- Roles. CREATE ROLE has no IF NOT EXISTS.
SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['luigi_traffic_owner', 'luigi_traffic_writer', 'luigi_traffic_reader', 'mlflow'])
    AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE luigi_traffic_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
ALTER ROLE luigi_traffic_writer LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE
    PASSWORD :'writer_password';
ALTER ROLE luigi_traffic_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE
    PASSWORD :'reader_password';
ALTER ROLE mlflow LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'mlflow_password';
\unset writer_password
\unset reader_password
\unset mlflow_password

-- Databases: each open to its own roles only.
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', db, owner)
FROM (VALUES ('luigi_traffic', 'luigi_traffic_owner'), ('mlflow', 'mlflow')) AS wanted (db, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = db) \gexec

ALTER DATABASE luigi_traffic OWNER TO luigi_traffic_owner;
ALTER DATABASE mlflow OWNER TO mlflow;
REVOKE ALL ON DATABASE luigi_traffic, mlflow FROM PUBLIC;
GRANT CONNECT ON DATABASE luigi_traffic TO luigi_traffic_writer, luigi_traffic_reader;

-- A writer becomes the owner when it logs in: what one writer creates, any other may replace.
-- (PostgreSQL 17.1, 16.5 and 15.9 ignored this setting; the releases right after mended it.)
GRANT luigi_traffic_owner TO luigi_traffic_writer;
-- Who waits for a table names who uses it, since when.
GRANT pg_read_all_stats TO luigi_traffic_owner;
ALTER ROLE luigi_traffic_writer IN DATABASE luigi_traffic SET role = 'luigi_traffic_owner';

-- A reader reads. The privileges below forbid the rest; this makes it plain at once, and a
-- forgotten transaction does not hold its locks for ever.
ALTER ROLE luigi_traffic_reader IN DATABASE luigi_traffic SET default_transaction_read_only = on;
ALTER ROLE luigi_traffic_reader IN DATABASE luigi_traffic
    SET idle_in_transaction_session_timeout = '10min';

\connect luigi_traffic

-- What the owner will create, and what it has created.
ALTER DEFAULT PRIVILEGES FOR ROLE luigi_traffic_owner
    GRANT USAGE ON SCHEMAS TO luigi_traffic_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE luigi_traffic_owner
    GRANT SELECT ON TABLES TO luigi_traffic_reader;

SELECT format('GRANT USAGE ON SCHEMA %1$I TO luigi_traffic_reader', nspname),
    format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO luigi_traffic_reader', nspname)
FROM pg_namespace
WHERE pg_get_userbyid(nspowner) = 'luigi_traffic_owner' \gexec

-- Large objects are the one thing that PostgreSQL lets everybody create.
REVOKE EXECUTE ON FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC;
