"""Nine of the faults, each once: those that need no torch and little time."""

from tests.stress import faults


def test_faults_come_out_as_required() -> None:
    figures = faults.measure(faults.SHORT, times=1)
    # How fast is for the benchmark on a quiet machine.
    wrong = {figure["name"]: [case for case in figure["wrong"] if " ms" not in case] for figure in figures.values()}
    assert wrong == {name: [] for name in wrong}
    assert set(figures) == set(faults.SHORT)
