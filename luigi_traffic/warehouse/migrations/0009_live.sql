-- What `luigi-traffic live` has done: see warehouse/live.py and docs/decisions/0055-live.md.
CREATE TABLE meta.ticks (
    dataset text NOT NULL,
    -- The measure that is forecast; empty for the dataset's own target.
    target text NOT NULL,
    due_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'no data', 'missed')),
    -- What is to be known of it, for people.
    message text,
    -- When the source was asked, when its rows were committed, and when the forecast was.
    polled_at timestamptz,
    rows_at timestamptz,
    forecast_at timestamptz,
    polls integer NOT NULL DEFAULT 0,
    rows integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    -- Start of the newest interval that was observed of any link.
    newest timestamp,
    -- Whether the source as a whole reports; and if it does, how many of the links do not.
    feed text CHECK (feed IN ('up', 'down')),
    links integer,
    silent integer,
    issued_at timestamp,
    version integer,
    -- Links whose forecast is the profile of the week, because too little of them was observed.
    fallback integer,
    announced boolean NOT NULL DEFAULT false,
    PRIMARY KEY (dataset, target, due_at)
);

-- The polls whose rows are in live.<dataset>.
CREATE TABLE meta.live_polls (
    dataset text NOT NULL,
    day date NOT NULL,
    name text NOT NULL,
    -- Of the rules that they were typed and cleaned by.
    recipe text NOT NULL,
    rows integer NOT NULL,
    rejected integer NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (dataset, day, name)
);
