"""Datasets that a file of settings declares: `conf/datasets/<name>.yml` with the key `table`."""
