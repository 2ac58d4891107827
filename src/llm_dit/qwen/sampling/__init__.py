"""A run: its start, its loop, captions, previews."""
