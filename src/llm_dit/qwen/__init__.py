"""What makes Qwen-Image load, fit and run: checkpoints, downloads, placement, captions, failures."""
