"""`luigi-traffic export`: tables of the warehouse as Parquet files, see `command`."""
