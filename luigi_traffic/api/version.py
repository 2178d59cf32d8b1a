"""The versions of the framework and of what plugins build on."""

__version__ = "0.1.0"
#: Raised when a plugin that was right would no longer be: a changed signature, a new duty.
API_VERSION = 2
