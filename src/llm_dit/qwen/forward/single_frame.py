"""The VAE for pictures: a video model whose convolutions over time see one frame and nothing before it.

A causal convolution pads the past with zeros, so of its kernel only the last slice in time meets a picture. That slice
is a convolution in two dimensions; the others, and what the video model keeps for the next frame, are left out.
"""

from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage, QwenImageCausalConv3d
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import nn

from llm_dit.qwen.placement.devices import OVER_TIME


class SingleFrameVae(AutoencoderKLQwenImage):
    """Encodes and decodes pictures (n, channels, 1, height, width); `fold` has to be called once, with the weights in.

    It differs from the video model by the rounding of the sums: 1e-5 at most in float32.
    """

    def fold(self) -> None:
        """Keep of the weights what one frame needs."""
        for module in list(self.modules()):
            for name, child in list(module.named_children()):
                if name == OVER_TIME:
                    delattr(module, name)
                elif isinstance(child, QwenImageCausalConv3d):
                    setattr(module, name, _Flat(child))

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.quant_conv(self.encoder(x))

    def _decode(self, z: torch.Tensor, return_dict: bool = True) -> Any:
        picture = self.decoder(self.post_quant_conv(z)).clamp(-1, 1)
        return DecoderOutput(sample=picture) if return_dict else (picture,)


class _Flat(nn.Conv2d):
    """The last slice in time of a causal convolution; takes and gives one frame."""

    def __init__(self, causal: Any) -> None:
        _, left, _, top, _, _ = causal._padding
        super().__init__(
            causal.in_channels,
            causal.out_channels,
            causal.kernel_size[1:],
            stride=causal.stride[1:],
            padding=(top, left),
            device="meta",
        )
        self.weight = nn.Parameter(causal.weight.data[:, :, -1].clone(), requires_grad=False)
        self.bias = causal.bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.squeeze(2)).unsqueeze(2)
