"""Luigi Targets: each is absent or complete, and knows which id today's code calls for."""
