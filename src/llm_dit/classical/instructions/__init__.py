"""From ordinary English to operations on a layer."""
