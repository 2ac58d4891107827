"""From a file's bytes to Pillow's lazily read picture and the label of its colors, one module a format."""
