"""A run: what it starts from, its loop, captions, previews."""
