"""Settings: their keys, and how they are read from files and the environment."""
