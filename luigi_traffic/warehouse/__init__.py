"""The warehouse: PostgreSQL with a ledger of committed partitions.

dsn         where the server is
embedded    a server of our own from a wheel (local profile); initdb, postgres_wheel, server_user,
            server_home, private_folder and postmaster are its parts
connection  transactions, locks, read-only queries; schema runs the migrations
ledger      the manifest of warehouse partitions
partitions  the commit of a warehouse partition; commit fills, checks and commits one
tables      gold and forecasts
binary      binary COPY from Arrow and to numpy, by binary_encode and binary_decode
"""
