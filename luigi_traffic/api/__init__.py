"""What plugins build on: datasets, models, sources, the link graph. `luigi_traffic` exports it."""
