"""What a step computes: the transformer, its blocks and kernels, the attention, and the VAE for pictures."""
