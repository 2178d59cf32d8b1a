"""The embedded PostgreSQL: making, starting, locking and ending the server of a home."""
