"""The pipeline, one file a stage, in order: raw, announce, bronze, silver, gold, train, forecast."""
