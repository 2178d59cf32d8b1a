"""`luigi-traffic new dataset NAME --from FILE`: `command` writes what the other modules see."""
