"""Parsing English and Chinese instructions into operations on a layer."""
