"""Layered image editing: decompose an image into RGBA layers, edit one, composite them again."""
