-- What the members of a consumer group take of a topic: the first to come decides, once for all.
CREATE TABLE meta.consumer_filter (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    filter jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer_group, topic)
);
