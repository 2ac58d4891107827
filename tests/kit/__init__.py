"""What drives services, jobs, pipelines and pictures, for the tests, the stress runs and the benchmarks."""
