"""From a hub id or a folder to a pipeline with its weights in."""
