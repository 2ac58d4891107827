"""Decomposing a picture: from regions to surfaces, things and layers, with their order, alpha and colors."""
