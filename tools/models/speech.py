"""T5 and Whisper, encoder and decoder in one graph, with transformers' module names."""
import math

import torch
from torch import nn

from parts import SMALLEST, RMSNorm


class T5Attention(nn.Module):
    def __init__(self, c, relative, two_sided=True):
        super().__init__()
        self.count, self.size = c["heads"], c["width"] // c["heads"]
        for name in ("q", "k", "v", "o"):
            setattr(self, name, nn.Linear(c["width"], c["width"], bias=False))
        self.two_sided = two_sided
        self.buckets, self.distance = 8, 16
        if relative:
            self.relative_attention_bias = nn.Embedding(self.buckets, c["heads"])

    def bias(self, wanted, known):
        context = torch.arange(wanted, dtype=torch.long)[:, None]
        memory = torch.arange(known, dtype=torch.long)[None, :]
        relative = memory - context
        buckets, found = self.buckets, 0
        if self.two_sided:
            buckets //= 2
            found = (relative > 0).to(torch.long) * buckets
            relative = torch.abs(relative)
        else:
            relative = -torch.min(relative, torch.zeros_like(relative))
        exact = buckets // 2
        far = torch.log(relative.float() / exact) / math.log(self.distance / exact) * (buckets - exact)
        far = exact + far.to(torch.long)
        far = torch.min(far, torch.full_like(far, buckets - 1))
        found = found + torch.where(relative < exact, relative, far)
        return self.relative_attention_bias(found).permute([2, 0, 1]).unsqueeze(0)

    def forward(self, x, states, bias):
        batch = x.shape[0]

        def shape(y):
            return y.view(batch, -1, self.count, self.size).transpose(1, 2)

        scores = torch.matmul(shape(self.q(x)), shape(self.k(states)).transpose(3, 2)) + bias
        weights = nn.functional.softmax(scores.float(), dim=-1).type_as(scores)
        y = torch.matmul(weights, shape(self.v(states))).transpose(1, 2).contiguous()
        return self.o(y.view(batch, -1, self.count * self.size))


class T5DenseActDense(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wi = nn.Linear(c["width"], c["inner"], bias=False)
        self.wo = nn.Linear(c["inner"], c["width"], bias=False)

    def forward(self, x):
        return self.wo(nn.functional.relu(self.wi(x)))


class T5Part(nn.Module):
    """T5LayerSelfAttention, T5LayerCrossAttention and T5LayerFF: a norm and what it feeds, by transformers' name."""

    def __init__(self, c, name, inner):
        super().__init__()
        self.layer_norm = RMSNorm(c["width"])
        self.inner = name
        setattr(self, name, inner)

    def forward(self, x, *rest):
        inner = getattr(self, self.inner)
        normed = self.layer_norm(x)
        if self.inner == "SelfAttention":
            return x + inner(normed, normed, *rest)
        return x + inner(normed, *rest)


class T5Block(nn.Module):
    def __init__(self, c, relative, decoder):
        super().__init__()
        parts = [T5Part(c, "SelfAttention", T5Attention(c, relative, not decoder))]
        if decoder:
            parts.append(T5Part(c, "EncDecAttention", T5Attention(c, False)))
        parts.append(T5Part(c, "DenseReluDense", T5DenseActDense(c)))
        self.layer = nn.ModuleList(parts)

    def forward(self, x, bias, states=None, cross=None):
        x = self.layer[0](x, bias)
        if states is not None:
            x = self.layer[1](x, states, cross)
        return self.layer[-1](x)


class T5Stack(nn.Module):
    def __init__(self, c, shared, decoder):
        super().__init__()
        self.embed_tokens = shared
        self.decoder = decoder
        self.block = nn.ModuleList([T5Block(c, i == 0, decoder) for i in range(c["layers"])])
        self.final_layer_norm = RMSNorm(c["width"])

    def forward(self, ids, mask, states=None, states_mask=None):
        x = self.embed_tokens(ids)
        length = ids.shape[1]
        bias = self.block[0].layer[0].SelfAttention.bias(length, length)
        if self.decoder:
            steps = torch.arange(length)
            later = steps[None, :] > steps[:, None]
            bias = bias + later[None, None].to(torch.float32) * SMALLEST
            cross = (1.0 - states_mask[:, None, None, :].to(torch.float32)) * SMALLEST
        else:
            bias = bias + (1.0 - mask[:, None, None, :].to(torch.float32)) * SMALLEST
            cross = None
        for block in self.block:
            x = block(x, bias, states, cross)
        return self.final_layer_norm(x)


class T5ForConditionalGeneration(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.width = c["width"]
        self.shared = nn.Embedding(c["vocab"], c["width"])
        self.encoder = T5Stack(c, self.shared, False)
        self.decoder = T5Stack(c, self.shared, True)
        self.lm_head = nn.Linear(c["width"], c["vocab"], bias=False)
        self.tied = c["tied"]
        if c["tied"]:
            self.lm_head.weight = self.shared.weight

    def forward(self, input_ids, attention_mask, decoder_input_ids):
        states = self.encoder(input_ids, attention_mask)
        x = self.decoder(decoder_input_ids, None, states, attention_mask)
        if self.tied:
            x = x * (self.width**-0.5)
        return self.lm_head(x)


class WhisperAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.count, self.size = c["heads"], c["width"] // c["heads"]
        self.k_proj = nn.Linear(c["width"], c["width"], bias=False)
        for name in ("v_proj", "q_proj", "out_proj"):
            setattr(self, name, nn.Linear(c["width"], c["width"]))

    def forward(self, x, states=None, mask=None):
        batch, length, width = x.size()
        states = x if states is None else states

        def shape(y):
            return y.view(batch, -1, self.count, self.size).transpose(1, 2).contiguous()

        query = shape(self.q_proj(x) * self.size**-0.5)
        scores = torch.matmul(query, shape(self.k_proj(states)).transpose(2, 3))
        if mask is not None:
            scores = scores + mask
        y = torch.matmul(nn.functional.softmax(scores, dim=-1), shape(self.v_proj(states)))
        return self.out_proj(y.transpose(1, 2).reshape(batch, length, width))


class WhisperLayer(nn.Module):
    def __init__(self, c, decoder):
        super().__init__()
        self.self_attn = WhisperAttention(c)
        self.self_attn_layer_norm = nn.LayerNorm(c["width"])
        if decoder:
            self.encoder_attn = WhisperAttention(c)
            self.encoder_attn_layer_norm = nn.LayerNorm(c["width"])
        self.fc1 = nn.Linear(c["width"], c["inner"])
        self.fc2 = nn.Linear(c["inner"], c["width"])
        self.final_layer_norm = nn.LayerNorm(c["width"])

    def forward(self, x, mask=None, states=None):
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask=mask)
        if states is not None:
            x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), states)
        return x + self.fc2(nn.functional.gelu(self.fc1(self.final_layer_norm(x))))


class WhisperEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv1d(c["mels"], c["width"], kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(c["width"], c["width"], kernel_size=3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(c["frames"] // 2, c["width"])
        self.layers = nn.ModuleList([WhisperLayer(c, False) for _ in range(c["layers"])])
        self.layer_norm = nn.LayerNorm(c["width"])

    def forward(self, features):
        x = nn.functional.gelu(self.conv1(features))
        x = nn.functional.gelu(self.conv2(x)).permute(0, 2, 1)
        x = x + self.embed_positions.weight
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x)


class WhisperDecoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab"], c["width"])
        self.embed_positions = nn.Embedding(c["positions"], c["width"])
        self.layers = nn.ModuleList([WhisperLayer(c, True) for _ in range(c["layers"])])
        self.layer_norm = nn.LayerNorm(c["width"])

    def forward(self, ids, states):
        length = ids.size(1)
        x = self.embed_tokens(ids) + self.embed_positions.weight[:length]
        mask = torch.full((length, length), SMALLEST)
        steps = torch.arange(length)
        mask = mask.masked_fill(steps < (steps + 1).view(length, 1), 0)[None, None]
        for layer in self.layers:
            x = layer(x, mask, states)
        return self.layer_norm(x)


class WhisperModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.encoder = WhisperEncoder(c)
        self.decoder = WhisperDecoder(c)

    def forward(self, features, ids):
        return self.decoder(ids, self.encoder(features))


class WhisperForConditionalGeneration(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.model = WhisperModel(c)
        self.proj_out = nn.Linear(c["width"], c["vocab"], bias=False)
        if c["tied"]:
            self.proj_out.weight = self.model.decoder.embed_tokens.weight

    def forward(self, input_features, decoder_input_ids):
        return self.proj_out(self.model(input_features, decoder_input_ids))
