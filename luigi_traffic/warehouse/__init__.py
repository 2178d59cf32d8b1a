"""The warehouse: PostgreSQL with a ledger of committed partitions.

dsn         where the server is
embedded    a server of our own from a wheel (local profile); initdb, leftovers, postgres_wheel,
            postmaster, private_folder, single_user, upkeep and server_* are its parts
dump        all of an embedded database in one file
connection  transactions, locks, read-only queries; schema runs the migrations
ledger      the manifest of warehouse partitions
partitions  the commit of a warehouse partition; commit fills, checks and commits one
tables      gold, forecasts and evaluations; insight_table has what Insight computes
links       what is known of the links of the roads, by versions
binary      binary COPY from Arrow and to numpy, by binary_encode and binary_decode
"""
