"""Whether a second device takes a branch of guidance, and why not; `pairing.py` carries it out."""

from dataclasses import replace

from llm_dit.qwen.placement import GB, USABLE, Machine, Plan, Weights


def plan_second(plan: Plan, second: Machine, weights: Weights, *, fused: bool) -> Plan:
    """Return `plan` with the second device in it, or with the reason why that has nothing to do.

    It needs a copy of every transformer, without the modulation, and what a run takes beside it.
    """
    copies = sum(weights.transformers) - sum(weights.modulations)
    peak = copies + weights.working.denoising + weights.working.recorded
    obstacle = _obstacle(plan, fused=fused)
    if not obstacle and peak > USABLE * second.free_device:
        obstacle = f"it has {second.free_device / GB:.1f} GB for {peak / GB:.1f} GB"
    if obstacle:
        return replace(plan, reason=f"{plan.reason} The second device is not used: {obstacle}.")
    told = f"A copy of {copies / GB:.1f} GB on the second device runs the other branch, where guidance is on."
    return replace(plan, second_peak=peak, reason=f"{plan.reason} {told}")


def _obstacle(plan: Plan, *, fused: bool) -> str:
    if not fused:
        return "fused = false runs diffusers' own loop"
    if plan.quantized:
        return "quantized weights are not copied to it"
    return "" if plan.strategy == "resident" else f'the weights are placed as "{plan.strategy}", not "resident"'
