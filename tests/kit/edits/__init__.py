"""Layers, edits whose truth is known, and how close what was made comes to it."""
