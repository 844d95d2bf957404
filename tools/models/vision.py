"""ViT, DeiT, DINOv2 and CLIP's two towers with transformers' module names."""
import torch
from torch import nn

from parts import SMALLEST, attend, heads_of, joined, quick_gelu


class PatchEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.projection = nn.Conv2d(3, c["width"], kernel_size=c["patch"], stride=c["patch"])

    def forward(self, pixels):
        return self.projection(pixels).flatten(2).transpose(1, 2)


class SelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.count, self.width = c["heads"], c["width"]
        self.size = self.width // self.count
        for name in ("query", "key", "value"):
            setattr(self, name, nn.Linear(c["width"], c["width"]))

    def forward(self, x):
        query, key, value = (heads_of(lin(x), self.count, self.size) for lin in (self.query, self.key, self.value))
        return joined(attend(query, key, value, self.size), self.width)


class Dense(nn.Module):
    def __init__(self, size, width):
        super().__init__()
        self.dense = nn.Linear(size, width)

    def forward(self, x):
        return self.dense(x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention = SelfAttention(c)
        self.output = Dense(c["width"], c["width"])

    def forward(self, x):
        return self.output(self.attention(x))


class ViTLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention = Attention(c)
        self.intermediate = Dense(c["width"], c["inner"])
        self.output = Dense(c["inner"], c["width"])
        self.layernorm_before = nn.LayerNorm(c["width"], eps=1e-12)
        self.layernorm_after = nn.LayerNorm(c["width"], eps=1e-12)

    def forward(self, x):
        x = self.attention(self.layernorm_before(x)) + x
        return self.output(nn.functional.gelu(self.intermediate(self.layernorm_after(x)))) + x


class Encoder(nn.Module):
    def __init__(self, c, make):
        super().__init__()
        self.layer = nn.ModuleList([make(c) for _ in range(c["layers"])])

    def forward(self, x):
        for layer in self.layer:
            x = layer(x)
        return x


class Embeddings(nn.Module):
    """`extra`: DeiT's second token, which looks at the teacher."""

    def __init__(self, c, extra=False):
        super().__init__()
        patches = (c["image"] // c["patch"]) ** 2
        self.cls_token = nn.Parameter(torch.randn(1, 1, c["width"]) * 0.1)
        if extra:
            self.distillation_token = nn.Parameter(torch.randn(1, 1, c["width"]) * 0.1)
        self.extra = extra
        self.position_embeddings = nn.Parameter(torch.randn(1, patches + (2 if extra else 1), c["width"]) * 0.1)
        self.patch_embeddings = PatchEmbeddings(c)

    def forward(self, pixels):
        batch = pixels.shape[0]
        x = self.patch_embeddings(pixels)
        tokens = [self.cls_token.expand(batch, -1, -1)]
        if self.extra:
            tokens.append(self.distillation_token.expand(batch, -1, -1))
        return torch.cat((*tokens, x), dim=1) + self.position_embeddings


class ViTModel(nn.Module):
    def __init__(self, c, extra=False):
        super().__init__()
        self.embeddings = Embeddings(c, extra)
        self.encoder = Encoder(c, ViTLayer)
        self.layernorm = nn.LayerNorm(c["width"], eps=1e-12)

    def forward(self, pixels):
        return self.layernorm(self.encoder(self.embeddings(pixels)))


class ViTForImageClassification(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.vit = ViTModel(c)
        self.classifier = nn.Linear(c["width"], c["classes"])

    def forward(self, pixel_values):
        return self.classifier(self.vit(pixel_values)[:, 0, :])


class DeiTForImageClassification(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.deit = ViTModel(c, extra=True)
        self.classifier = nn.Linear(c["width"], c["classes"])

    def forward(self, pixel_values):
        return self.classifier(self.deit(pixel_values)[:, 0, :])


class LayerScale(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.lambda1 = nn.Parameter(0.7 * torch.ones(c["width"]))

    def forward(self, x):
        return x * self.lambda1


class Mlp(nn.Module):
    def __init__(self, c, act):
        super().__init__()
        self.fc1 = nn.Linear(c["width"], c["inner"])
        self.fc2 = nn.Linear(c["inner"], c["width"])
        self.act = act

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class Dinov2Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1 = nn.LayerNorm(c["width"], eps=1e-6)
        self.attention = Attention(c)
        self.layer_scale1 = LayerScale(c)
        self.norm2 = nn.LayerNorm(c["width"], eps=1e-6)
        self.mlp = Mlp(c, nn.functional.gelu)
        self.layer_scale2 = LayerScale(c)

    def forward(self, x):
        x = self.layer_scale1(self.attention(self.norm1(x))) + x
        return self.layer_scale2(self.mlp(self.norm2(x))) + x


class Dinov2Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = Embeddings(c)
        self.encoder = Encoder(c, Dinov2Layer)
        self.layernorm = nn.LayerNorm(c["width"], eps=1e-6)

    def forward(self, pixel_values):
        x = self.layernorm(self.encoder(self.embeddings(pixel_values)))
        return x, x[:, 0, :]


class Dinov2ForImageClassification(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dinov2 = Dinov2Model(c)
        self.classifier = nn.Linear(2 * c["width"], c["classes"])

    def forward(self, pixel_values):
        x, _ = self.dinov2(pixel_values)
        return self.classifier(torch.cat([x[:, 0], x[:, 1:].mean(dim=1)], dim=1))


class CLIPAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.count, self.width = c["heads"], c["width"]
        self.size = self.width // self.count
        self.scale = self.size**-0.5
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            setattr(self, name, nn.Linear(c["width"], c["width"]))

    def _shape(self, x, length, batch):
        return x.view(batch, length, self.count, self.size).transpose(1, 2).contiguous()

    def forward(self, x, mask):
        batch, length = x.shape[0], x.shape[1]
        flat = (batch * self.count, -1, self.size)
        query = self._shape(self.q_proj(x) * self.scale, length, batch).view(*flat)
        key = self._shape(self.k_proj(x), -1, batch).view(*flat)
        value = self._shape(self.v_proj(x), -1, batch).view(*flat)
        scores = torch.bmm(query, key.transpose(1, 2))
        if mask is not None:
            scores = scores.view(batch, self.count, length, length) + mask
            scores = scores.view(batch * self.count, length, length)
        context = torch.bmm(nn.functional.softmax(scores, dim=-1), value)
        context = context.view(batch, self.count, length, self.size).transpose(1, 2)
        return self.out_proj(context.reshape(batch, length, self.width))


class CLIPEncoderLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn = CLIPAttention(c)
        self.layer_norm1 = nn.LayerNorm(c["width"], eps=1e-5)
        self.mlp = Mlp(c, quick_gelu)
        self.layer_norm2 = nn.LayerNorm(c["width"], eps=1e-5)

    def forward(self, x, mask):
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class CLIPEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList([CLIPEncoderLayer(c) for _ in range(c["layers"])])

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return x


class CLIPVisionEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(c["width"]) * 0.2)
        self.patch_embedding = nn.Conv2d(3, c["width"], kernel_size=c["patch"], stride=c["patch"], bias=False)
        positions = (c["image"] // c["patch"]) ** 2 + 1
        self.position_embedding = nn.Embedding(positions, c["width"])
        self.register_buffer("position_ids", torch.arange(positions).expand((1, -1)), persistent=False)

    def forward(self, pixels):
        batch = pixels.shape[0]
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(batch, 1, -1), patches], dim=1)
        return x + self.position_embedding(self.position_ids)


class CLIPVisionTransformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = CLIPVisionEmbeddings(c)
        self.pre_layrnorm = nn.LayerNorm(c["width"], eps=1e-5)
        self.encoder = CLIPEncoder(c)
        self.post_layernorm = nn.LayerNorm(c["width"], eps=1e-5)

    def forward(self, pixels):
        x = self.encoder(self.pre_layrnorm(self.embeddings(pixels)))
        return x, self.post_layernorm(x[:, 0, :])


class CLIPForImageClassification(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.vision_model = CLIPVisionTransformer(c)
        self.classifier = nn.Linear(c["width"], c["classes"])

    def forward(self, pixel_values):
        x, _ = self.vision_model(pixel_values)
        return self.classifier(torch.mean(x[:, 1:, :], dim=1))


class CLIPTextEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.token_embedding = nn.Embedding(c["vocab"], c["width"])
        self.position_embedding = nn.Embedding(c["positions"], c["width"])
        self.register_buffer("position_ids", torch.arange(c["positions"]).expand((1, -1)), persistent=False)

    def forward(self, ids):
        return self.token_embedding(ids) + self.position_embedding(self.position_ids[:, : ids.shape[-1]])


class CLIPTextTransformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = CLIPTextEmbeddings(c)
        self.encoder = CLIPEncoder(c)
        self.final_layer_norm = nn.LayerNorm(c["width"], eps=1e-5)

    def forward(self, ids, mask):
        batch, length = ids.shape
        triangle = torch.full((batch, length, length), SMALLEST).triu(1).unsqueeze(1)
        padding = (1.0 - mask[:, None, None, :].to(torch.float32)) * -1e9
        x = self.final_layer_norm(self.encoder(self.embeddings(ids), triangle + padding))
        return x, x[torch.arange(batch), ids.to(torch.int).argmax(dim=-1)]


class CLIPTextModelWithProjection(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.text_model = CLIPTextTransformer(c)
        self.text_projection = nn.Linear(c["width"], c["width"], bias=False)

    def forward(self, input_ids, attention_mask):
        x, pooled = self.text_model(input_ids, attention_mask)
        return self.text_projection(pooled), x
