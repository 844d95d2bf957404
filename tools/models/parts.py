"""What the families share: initial weights, attention as transformers spells it before sdpa, masks, rotary embeddings, activations."""
import math

import torch
from torch import nn

SMALLEST = torch.finfo(torch.float32).min


def spread(model, seed, std=0.15):
    """Weights as transformers initialises them - normal matrices, zero biases, norms of one - but wider, so that every part matters."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if name.endswith(".bias") and parameter.dim() == 1:
                parameter.zero_()
            elif parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
    return model


def distinct(model, seed):
    """The same model with every vector of its own, as after training: nothing is equal to anything else."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        with torch.no_grad():
            if parameter.dim() <= 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def heads_of(x, count, size):
    """[B, S, H·d] to [B, H, S, d], as transformers' transpose_for_scores."""
    return x.view(x.shape[0], x.shape[1], count, size).permute(0, 2, 1, 3)


def joined(x, width):
    """[B, H, S, d] to [B, S, H·d]."""
    x = x.permute(0, 2, 1, 3).contiguous()
    return x.view(x.shape[0], x.shape[1], width)


def attend(query, key, value, size, mask=None):
    scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(size)
    if mask is not None:
        scores = scores + mask
    return torch.matmul(nn.functional.softmax(scores, dim=-1), value)


def extended(attention_mask):
    """get_extended_attention_mask: 0 where a token counts, the smallest number where it is padding."""
    wide = attention_mask[:, None, None, :].to(dtype=torch.float32)
    return (1.0 - wide) * SMALLEST


def causal(attention_mask):
    """_prepare_decoder_attention_mask: the triangle and the padding, added."""
    batch, length = attention_mask.shape
    mask = torch.full((length, length), SMALLEST)
    steps = torch.arange(mask.size(-1))
    mask.masked_fill_(steps < (steps + 1).view(mask.size(-1), 1), 0)
    mask = mask[None, None, :, :].expand(batch, 1, length, length)
    inverted = 1.0 - attention_mask[:, None, None, :].expand(batch, 1, length, length).to(torch.float32)
    padding = inverted.masked_fill(inverted.to(torch.bool), SMALLEST)
    return mask.masked_fill(padding.to(torch.bool), SMALLEST)


class Rotary(nn.Module):
    """inv_freq as a buffer, cos and sin of the given positions."""

    def __init__(self, dim, base=10000.0):
        super().__init__()
        self.register_buffer("inv_freq", 1.0 / (base ** (torch.arange(0, dim, 2).float() / dim)), persistent=False)

    def forward(self, position_ids):
        wide = self.inv_freq[None, :, None].float().expand(position_ids.shape[0], -1, 1)
        angles = (wide @ position_ids[:, None, :].float()).transpose(1, 2)
        both = torch.cat((angles, angles), dim=-1)
        return both.cos(), both.sin()


def rotate_half(x):
    half = x.shape[-1] // 2
    return torch.cat((-x[..., half:], x[..., :half]), dim=-1)


def rotated(x, cos, sin):
    return x * cos.unsqueeze(1) + rotate_half(x) * sin.unsqueeze(1)


def repeated(x, times, count, size):
    """repeat_kv: each key and value head serves several query heads."""
    if times == 1:
        return x
    batch, length = x.shape[0], x.shape[2]
    return x[:, :, None, :, :].expand(batch, count, times, length, size).reshape(batch, count * times, length, size)


class RMSNorm(nn.Module):
    def __init__(self, size, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.variance_epsilon = eps

    def forward(self, x):
        variance = x.to(torch.float32).pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.variance_epsilon))


def gelu_new(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


class Holder(nn.Module):
    """A module that only holds others, for transformers' names."""

    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)
