"""Robustness: faults, stops, mixed traffic, crowds, doors, bad input, damage.

`make stress-short` runs each kind in short, `make stress` each in full as well. One kind alone, with its figures as
JSON: `python -m tests.stress.faults`, and so on.
"""
