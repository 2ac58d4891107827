"""The schedule of a run: at which noise levels the model is asked."""

# diffusers exports its names lazily, which pyright cannot see.
# pyright: reportPrivateImportUsage=false
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler


class Scheduler(FlowMatchEulerDiscreteScheduler):
    """Diffusers' scheduler, with a schedule of one step too.

    The checkpoints ask for a last step at σ = 0.02. Diffusers stretches the schedule to that, and with one step, which
    is the first and the last, divides zero by zero. One step goes from pure noise to the picture.
    """

    def stretch_shift_to_terminal(self, t: Any) -> Any:
        """Return the noise levels with the last one moved to `shift_terminal`; a single one as it is."""
        return t if len(t) == 1 else super().stretch_shift_to_terminal(t)
