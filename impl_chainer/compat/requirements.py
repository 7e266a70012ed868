"""The few functions of ``pkg_resources`` that Chainer calls, over ``importlib.metadata``.

Given to the Chainer modules that import ``pkg_resources``, and to no others: nothing of this name
enters ``sys.modules``. Requirements are what Chainer writes: a name and comma-separated version bounds.
"""

import operator
import re
from importlib import metadata

_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?P<bounds>.*)$")
_BOUND = re.compile(r"\s*(?P<compare>===?|!=|>=|<=|~=|>|<)\s*(?P<version>[^,\s=<>!~]+)\s*$")
_PRE = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "rc": -1, "c": -1, "post": 1}


class ResolutionError(Exception):
    """A requirement is not met; the base of the two ways in which that happens."""


class DistributionNotFound(ResolutionError):
    """The required distribution is not installed."""


class VersionConflict(ResolutionError):
    """The distribution is installed in a version outside the required bounds."""


def _key(version):
    """Return a sortable key: the release without trailing zeros, then dev < a < b < rc < final < post."""
    public = version.lower().lstrip("v").partition("+")[0]
    match = re.match(r"(\d+(?:\.\d+)*)[-_.]?(?:([a-z]+)[-_.]?(\d*))?", public)
    if match is None:
        raise ValueError(f"not a version: {version!r}")
    release = [int(part) for part in match.group(1).split(".")]
    while release and release[-1] == 0:
        release.pop()
    return release, _PRE.get(match.group(2), 0), int(match.group(3) or 0)


def get_distribution(name):
    """Return the installed distribution, which has a ``version``.

    Raises:
        DistributionNotFound: it is not installed.
    """
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise DistributionNotFound(name) from None


def require(*requirements):
    """Check that each requirement, such as ``numpy>=1.10,<2``, is installed.

    Raises:
        DistributionNotFound, VersionConflict: it is not.
        ValueError: it cannot be read.
    """
    found = []
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match is None:
            raise ValueError(f"not a requirement: {requirement!r}")
        distribution = get_distribution(match["name"])
        for text in filter(None, (part.strip() for part in match["bounds"].split(","))):
            bound = _BOUND.match(text)
            if bound is None or bound["compare"] not in _COMPARE:
                raise ValueError(f"not a requirement: {requirement!r}")
            if not _COMPARE[bound["compare"]](_key(distribution.version), _key(bound["version"])):
                raise VersionConflict(f"{match['name']} {distribution.version} is installed, {text} is required")
        found.append(distribution)
    return found


class WorkingSet:
    """What is installed, as one object with ``require``."""

    def require(self, *requirements):
        """As the function ``require``."""
        return require(*requirements)
