"""Nine of the faults, each once: those that need no torch and little time."""

from tests.stress import faults


def test_faults_come_out_as_required() -> None:
    figures = faults.measure(faults.SHORT, times=1)
    assert {name: figure["wrong"] for name, figure in figures.items() if figure["wrong"]} == {}
    assert set(figures) == set(faults.SHORT)
