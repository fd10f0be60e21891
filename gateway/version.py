"""Which farebox this is."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    try:
        return version("farebox")
    except PackageNotFoundError:  # a checkout on the path
        return "(not installed)"
