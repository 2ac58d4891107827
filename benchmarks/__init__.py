"""Commands that measure the product; each is run as `python -m benchmarks.<name>`."""
