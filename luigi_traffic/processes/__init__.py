"""Programs that we start: Luigi runs, servers of the local profile, and how they end."""
