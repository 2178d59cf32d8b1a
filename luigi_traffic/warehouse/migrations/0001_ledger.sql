-- The manifest of warehouse partitions: a partition exists when it has a live row here.
-- Append-only, but for superseded_at.
CREATE TABLE meta.ledger (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stage text NOT NULL,
    dataset text NOT NULL,
    part text NOT NULL,
    partition_id text NOT NULL,
    recipe_hash text NOT NULL,
    recipe jsonb NOT NULL,
    inputs jsonb NOT NULL,
    rows bigint NOT NULL CHECK (rows >= 0),
    checksum text NOT NULL,
    details jsonb NOT NULL,
    -- Not now(), which is when the transaction began: two that waited for each other
    -- would be recorded out of order.
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    superseded_at timestamptz
);

CREATE UNIQUE INDEX ledger_live ON meta.ledger (stage, dataset, part) WHERE superseded_at IS NULL;
CREATE INDEX ledger_partition_id ON meta.ledger (partition_id);
