-- Every change of the alias "champion" in MLflow, as luigi_traffic made or found it: see champions.py
-- and docs/decisions/0045-champions-and-trainings.md. What happened before this table is not known.
CREATE TABLE meta.champions (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The registered model in MLflow.
    name text NOT NULL,
    -- Versions of it; NULL if none carried the alias.
    before text,
    version text,
    kind text NOT NULL CHECK (kind IN ('training', 'promote', 'rollback', 'found')),
    reason text NOT NULL,
    who text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- False from before the alias is given until it is known to be: a crash leaves it so.
    done boolean NOT NULL
);
CREATE INDEX ON meta.champions (name, seq);
