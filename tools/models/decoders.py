"""GPT-2, Llama, Qwen2, Qwen3, Gemma and Phi-3 with transformers' module names, heads tied or not."""
import math

import torch
from torch import nn

from parts import SMALLEST, RMSNorm, Rotary, causal, gelu_new, repeated, rotated


class Conv1D(nn.Module):
    """GPT-2's linear layer, its weight stored as [in, out]."""

    def __init__(self, out, size):
        super().__init__()
        self.nf = out
        self.weight = nn.Parameter(torch.randn(size, out) * 0.02)
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x):
        out = x.size()[:-1] + (self.nf,)
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(out)


class GPT2Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.count, self.width = c["heads"], c["width"]
        triangle = torch.tril(torch.ones((c["positions"], c["positions"]), dtype=torch.uint8))
        self.register_buffer("bias", triangle.view(1, 1, *triangle.shape), persistent=False)
        self.c_attn = Conv1D(3 * c["width"], c["width"])
        self.c_proj = Conv1D(c["width"], c["width"])

    def _split(self, x):
        return x.view(x.shape[0], x.shape[1], self.count, self.width // self.count).permute(0, 2, 1, 3)

    def forward(self, x, mask):
        query, key, value = (self._split(y) for y in self.c_attn(x).split(self.width, dim=2))
        scores = torch.matmul(query, key.transpose(-1, -2))
        scores = scores / torch.full([], (self.width // self.count) ** 0.5, dtype=scores.dtype)
        wanted, known = query.size(-2), key.size(-2)
        triangle = self.bias[:, :, known - wanted : known, :known].to(torch.bool)
        scores = torch.where(triangle, scores, torch.full([], SMALLEST, dtype=scores.dtype))
        weights = nn.functional.softmax(scores + mask, dim=-1)
        y = torch.matmul(weights, value).permute(0, 2, 1, 3).contiguous()
        return self.c_proj(y.view(y.shape[0], y.shape[1], self.width))


class GPT2MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c_fc = Conv1D(c["inner"], c["width"])
        self.c_proj = Conv1D(c["width"], c["inner"])

    def forward(self, x):
        return self.c_proj(gelu_new(self.c_fc(x)))


class GPT2Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.ln_1 = nn.LayerNorm(c["width"], eps=1e-5)
        self.attn = GPT2Attention(c)
        self.ln_2 = nn.LayerNorm(c["width"], eps=1e-5)
        self.mlp = GPT2MLP(c)

    def forward(self, x, mask):
        x = self.attn(self.ln_1(x), mask) + x
        return x + self.mlp(self.ln_2(x))


class GPT2Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wte = nn.Embedding(c["vocab"], c["width"])
        self.wpe = nn.Embedding(c["positions"], c["width"])
        self.h = nn.ModuleList([GPT2Block(c) for _ in range(c["layers"])])
        self.ln_f = nn.LayerNorm(c["width"], eps=1e-5)

    def forward(self, ids, attention_mask):
        shape = ids.size()
        ids = ids.view(-1, shape[-1])
        position_ids = torch.arange(0, shape[-1], dtype=torch.long).unsqueeze(0).view(-1, shape[-1])
        mask = attention_mask.view(shape[0], -1)[:, None, None, :].to(torch.float32)
        mask = (1.0 - mask) * SMALLEST
        x = self.wte(ids) + self.wpe(position_ids)
        for block in self.h:
            x = block(x, mask)
        return self.ln_f(x)


class GPT2LMHeadModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.transformer = GPT2Model(c)
        self.lm_head = nn.Linear(c["width"], c["vocab"], bias=False)
        if c["tied"]:
            self.lm_head.weight = self.transformer.wte.weight

    def forward(self, input_ids, attention_mask):
        return self.lm_head(self.transformer(input_ids, attention_mask))


class GemmaRMSNorm(nn.Module):
    def __init__(self, size, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(size))

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return y * (1.0 + self.weight.float())


class LlamaAttention(nn.Module):
    """Of Llama, Qwen2 (biases on q, k and v), Qwen3 (norms on q and k), Gemma and, packed, Phi-3."""

    def __init__(self, c):
        super().__init__()
        self.count, self.kv, self.size = c["heads"], c["kv"], c["head_size"]
        wide, narrow = self.count * self.size, self.kv * self.size
        self.packed = c["family"] == "phi3"
        if self.packed:
            self.qkv_proj = nn.Linear(c["width"], wide + 2 * narrow, bias=False)
        else:
            bias = c["family"] == "qwen2"
            self.q_proj = nn.Linear(c["width"], wide, bias=bias)
            self.k_proj = nn.Linear(c["width"], narrow, bias=bias)
            self.v_proj = nn.Linear(c["width"], narrow, bias=bias)
        self.o_proj = nn.Linear(wide, c["width"], bias=False)
        self.normed = c["family"] == "qwen3"
        if self.normed:
            self.q_norm = RMSNorm(self.size)
            self.k_norm = RMSNorm(self.size)

    def forward(self, x, mask, cos, sin):
        batch, length, _ = x.size()
        if self.packed:
            qkv = self.qkv_proj(x)
            wide, narrow = self.count * self.size, self.kv * self.size
            query, key = qkv[..., :wide], qkv[..., wide : wide + narrow]
            value = qkv[..., wide + narrow :]
        else:
            query, key, value = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        query = query.view(batch, length, self.count, self.size)
        key = key.view(batch, length, self.kv, self.size)
        if self.normed:
            query, key = self.q_norm(query), self.k_norm(key)
        query, key = query.transpose(1, 2), key.transpose(1, 2)
        value = value.view(batch, length, self.kv, self.size).transpose(1, 2)
        query, key = rotated(query, cos, sin), rotated(key, cos, sin)
        key, value = (repeated(y, self.count // self.kv, self.kv, self.size) for y in (key, value))
        scores = torch.matmul(query, key.transpose(2, 3)) / math.sqrt(self.size) + mask
        weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32)
        y = torch.matmul(weights, value).transpose(1, 2).contiguous()
        return self.o_proj(y.reshape(batch, length, self.count * self.size))


class LlamaMLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.packed = c["family"] == "phi3"
        self.gemma = c["family"] == "gemma"
        if self.packed:
            self.gate_up_proj = nn.Linear(c["width"], 2 * c["inner"], bias=False)
        else:
            self.gate_proj = nn.Linear(c["width"], c["inner"], bias=False)
            self.up_proj = nn.Linear(c["width"], c["inner"], bias=False)
        self.down_proj = nn.Linear(c["inner"], c["width"], bias=False)

    def forward(self, x):
        if self.packed:
            gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        else:
            gate, up = self.gate_proj(x), self.up_proj(x)
        act = gelu_new(gate) if self.gemma else nn.functional.silu(gate)
        return self.down_proj(up * act)


class LlamaDecoderLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        norm = GemmaRMSNorm if c["family"] == "gemma" else RMSNorm
        self.self_attn = LlamaAttention(c)
        self.mlp = LlamaMLP(c)
        self.input_layernorm = norm(c["width"])
        self.post_attention_layernorm = norm(c["width"])

    def forward(self, x, mask, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), mask, cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class LlamaModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab"], c["width"])
        self.layers = nn.ModuleList([LlamaDecoderLayer(c) for _ in range(c["layers"])])
        gemma = c["family"] == "gemma"
        self.norm = (GemmaRMSNorm if gemma else RMSNorm)(c["width"])
        self.rotary_emb = Rotary(c["head_size"])
        self.scale = c["width"] ** 0.5 if gemma else None

    def forward(self, ids, attention_mask, position_ids):
        x = self.embed_tokens(ids)
        if self.scale is not None:
            x = x * torch.tensor(self.scale, dtype=x.dtype)
        mask = causal(attention_mask)
        cos, sin = self.rotary_emb(position_ids)
        for layer in self.layers:
            x = layer(x, mask, cos, sin)
        return self.norm(x)


class LlamaForCausalLM(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.model = LlamaModel(c)
        self.lm_head = nn.Linear(c["width"], c["vocab"], bias=False)
        if c["tied"]:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, input_ids, attention_mask, position_ids):
        return self.lm_head(self.model(input_ids, attention_mask, position_ids)).float()
