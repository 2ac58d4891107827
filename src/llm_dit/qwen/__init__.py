"""The Qwen-Image engine: checkpoints, downloads, placement, sampling, captions, failures."""
