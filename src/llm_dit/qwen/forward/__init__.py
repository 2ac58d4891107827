"""The computation of a step: the transformer, its blocks, kernels and attention; and the VAE for pictures."""
