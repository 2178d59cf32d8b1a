"""The pipeline, one file a stage: raw, announce, bronze, silver, gold, train, forecast."""
