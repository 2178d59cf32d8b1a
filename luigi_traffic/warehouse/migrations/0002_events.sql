-- What consumers have decided: one row an event and consumer group. An event that comes again
-- is looked up here and dropped.
CREATE TABLE meta.consumed_event (
    consumer_group text NOT NULL,
    event_id text NOT NULL,
    -- Where the message lay that was decided last.
    topic text NOT NULL,
    topic_partition integer NOT NULL,
    topic_offset bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'dead-letter')),
    attempts integer NOT NULL CHECK (attempts > 0),
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer_group, event_id)
);
