"""Placement of the weights: the plan and its execution."""
