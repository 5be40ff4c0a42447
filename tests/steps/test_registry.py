"""A28: code of a plugin is imported only where the policy lists its distribution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.core.errors import Refused
from runner.steps import registry

CODE = """\
from pathlib import Path
from runner.core.plan import ModelInput
from runner.steps.contract import Output, Preview, StepType

Path(__file__).with_suffix(".imported").touch()

class Deploy(StepType):
    name = "{name}"
    model = ModelInput
    idempotent = False

    def preview(self, given, read):
        return Preview(line="deploy")

    def execute(self, context, given):
        return Output(text="deployed")

class Wrong:
    pass
"""
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution that provides one step type; its import leaves a file."""

    def make(module: str, name: str, target: str = "Deploy") -> Path:
        site = tmp_path / f"site-{module}"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        entry = f"[{registry.GROUP}]\n{name} = {module}:{target}\n"
        (info / "entry_points.txt").write_text(entry)
        (site / f"{module}.py").write_text(CODE.replace("{name}", name))
        monkeypatch.syspath_prepend(str(site))
        return site / f"{module}.imported"

    return make


def test_A28_a_plugin_that_the_policy_does_not_list_is_not_imported(install: Install) -> None:
    """It is named in the refusal, and none of its code ran."""
    imported = install("plugin_quiet", "quiet")
    with pytest.raises(Refused, match="provided by plugin_quiet, which the policy does not allow"):
        registry.find("quiet", ())
    assert not imported.exists()


def test_a_listed_plugin_provides_its_step_type(install: Install) -> None:
    """A distribution that the policy lists is loaded."""
    imported = install("plugin_listed", "listed")
    assert registry.find("listed", ("plugin_listed",)).name == "listed"
    assert imported.exists()


def test_A28_two_plugins_for_one_type_are_refused(install: Install) -> None:
    """Which of them is meant cannot be told, so neither is imported."""
    markers = [install(f"plugin_twin{number}", "twin") for number in (1, 2)]
    with pytest.raises(Refused, match="several plugins"):
        registry.find("twin", ("plugin_twin1", "plugin_twin2"))
    assert not any(each.exists() for each in markers)


def test_a_plugin_that_gives_something_else_is_refused(install: Install) -> None:
    """An entry point must lead to a step type."""
    install("plugin_wrong", "wrong", "Wrong")
    with pytest.raises(Refused, match="does not give a StepType"):
        registry.find("wrong", ("plugin_wrong",))


def test_A28_a_plugin_cannot_take_a_built_in_name(install: Install) -> None:
    """Whatever is installed and listed, `read_file` is ours."""
    imported = install("plugin_thief", "read_file")
    assert type(registry.find("read_file", ("plugin_thief",))).__module__.startswith("runner.")
    assert not imported.exists()
