-- Every try of a stage: see warehouse/attempts.py and docs/decisions/0061-attempts.md.
CREATE TABLE meta.attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Luigi's, as luigid shows it.
    task_id text NOT NULL,
    stage text NOT NULL,
    dataset text NOT NULL,
    -- The day; of a model the last day of its window.
    part text NOT NULL,
    -- Of the lock that the attempt holds: an attempt without an end is at work while it is held.
    lock_key bigint NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    outcome text CHECK (outcome IN ('done', 'failed', 'stopped', 'lost')),
    message text,
    -- Of the partition that was made, if its stage counts them.
    rows bigint,
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE INDEX ON meta.attempts (dataset, stage, part, id);
CREATE INDEX ON meta.attempts (lock_key) WHERE outcome IS NULL;
