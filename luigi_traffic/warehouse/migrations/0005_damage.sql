-- Why a row was superseded without another taking its place: what it stands for is lost or altered,
-- or somebody wanted it made anew.
ALTER TABLE meta.ledger ADD COLUMN damage text;
