-- What is known of the roads' links: see warehouse/links.py and docs/decisions/0057-links.md.
CREATE SCHEMA IF NOT EXISTS links;

-- The versions that are in links.<dataset>.
CREATE TABLE meta.link_versions (
    dataset text NOT NULL,
    valid_from date NOT NULL,
    -- The file that they came from, or in words that the dataset itself gave them.
    source text NOT NULL,
    links integer NOT NULL,
    with_geometry integer NOT NULL,
    -- Of the rows, without the dates of validity.
    checksum text NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (dataset, valid_from)
);
