"""From a file's bytes to a lazily decoded picture and its color label, one module per format."""
