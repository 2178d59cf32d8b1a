"""Announcements of raw partitions: CloudEvents in a journal file or on a broker."""
