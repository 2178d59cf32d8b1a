"""`luigi-traffic live`: the next hour, again and again, see `command`."""
