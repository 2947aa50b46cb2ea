"""The version of this package."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("jointfit")
except PackageNotFoundError:
    __version__ = "unknown"
