"""The report names what is there, what is missing, and what to do."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from llm_dit.qwen import diagnosis
from llm_dit.qwen.checkpoints import EDIT, LAYERED
from llm_dit.qwen.diagnosis import Finding, diagnose


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    assert all(finding.ok or finding.advice for finding in findings), "what is not well has advice"
    return {finding.name: finding for finding in findings}


def test_what_is_there_is_described(checkpoints: Path) -> None:
    found = by_name(diagnose(str(checkpoints / "layered"), str(checkpoints / "edit")))
    assert found["diffusers"].ok
    assert found[LAYERED].value.endswith("complete")
    assert found[EDIT].ok
    assert "no accelerator" in found["placement"].value
    assert found["free disk"].ok


def test_damage_is_named(checkpoints: Path, tmp_path: Path) -> None:
    broken = tmp_path / "edit"
    broken.mkdir()
    for entry in (checkpoints / "edit").iterdir():
        (broken / entry.name).symlink_to(entry)
    (broken / "vae").unlink()
    found = by_name(diagnose(str(checkpoints / "layered"), str(broken)))
    assert not found[EDIT].ok
    assert "vae/config.json is missing" in found[EDIT].advice


def test_a_hub_id_is_looked_for_in_the_cache_only(checkpoints: Path) -> None:
    found = by_name(diagnose(str(checkpoints / "layered"), "nobody/nothing-of-the-kind"))
    assert "downloaded when" in found[EDIT].advice


def test_missing_packages_end_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(diagnosis, "version", missing)
    findings = diagnose("", "")
    assert [finding.value for finding in findings] == ["not installed"] * len(findings)
    assert "pip install" in findings[0].advice
