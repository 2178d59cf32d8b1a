"""LightGBM, or an error that says what it lacks."""

from luigi_traffic import SettingsError

try:
    import lightgbm
except OSError as error:  # the package is there, its library does not load
    raise SettingsError(
        f"LightGBM cannot be loaded: {error}. Model gbdt needs it, and it needs the system's "
        "OpenMP library: install libgomp1 (Debian, Ubuntu), libgomp (Fedora, RHEL) or libomp "
        "(macOS, with Homebrew)."
    ) from error

__all__ = ["lightgbm"]
