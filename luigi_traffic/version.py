"""The version of the framework."""

__version__ = "0.1.0"
