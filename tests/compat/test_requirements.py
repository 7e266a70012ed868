"""The stand-in for ``pkg_resources``: the versions that Chainer asks for, compared as PEP 440 orders them."""

from importlib import metadata

import pytest

from ganspec.impl_chainer.compat import requirements


@pytest.fixture
def installed(monkeypatch):
    def install(version):
        distribution = type("Distribution", (), {"version": version})()

        def find(name):
            if name != "thing":
                raise metadata.PackageNotFoundError(name)
            return distribution

        monkeypatch.setattr(metadata, "distribution", find)
        return distribution

    return install


@pytest.mark.parametrize(
    ("version", "bounds", "met"),
    [
        ("2.4.6", "", True),
        ("2.4.6", ">=2.4", True),
        ("2.4.6", ">=2.4,<2.4.6", False),
        ("2.10", ">2.9", True),
        ("2.0", "==2", True),
        ("2.0.0", "!=2", False),
        ("14.2.0", ">=7.8.0,<8.0.0", False),
        ("7.8.0rc1", ">=7.8.0", False),
        ("7.8.0b2", "<7.8.0rc1", True),
        ("7.8.0.post1", ">7.8.0", True),
        ("7.8.0.dev3", "<7.8.0a1", True),
        ("2.13.0+cpu", "==2.13", True),
    ],
)
def test_bounds_are_compared(version, bounds, met, installed):
    distribution = installed(version)
    if met:
        assert requirements.require("thing" + bounds) == [distribution]
        assert requirements.WorkingSet().require("thing" + bounds) == [distribution]
    else:
        with pytest.raises(requirements.VersionConflict):
            requirements.require("thing" + bounds)


def test_absent_is_another_error(installed):
    installed("1")
    with pytest.raises(requirements.DistributionNotFound):
        requirements.require("other>=1")
    assert issubclass(requirements.DistributionNotFound, requirements.ResolutionError)
    assert issubclass(requirements.VersionConflict, requirements.ResolutionError)
    assert requirements.get_distribution("thing").version == "1"


@pytest.mark.parametrize("text", ["", ">=1", "thing=1", "thing>=", "thing[extra]>=1", "thing; python_version > '3'"])
def test_other_text_is_refused(text, installed):
    installed("1")
    with pytest.raises(ValueError, match="not a requirement"):
        requirements.require(text)
