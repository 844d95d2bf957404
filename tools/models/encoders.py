"""BERT, DistilBERT and RoBERTa with transformers' module names, for classes and for masked words."""
import math

import torch
from torch import nn

from parts import attend, extended, heads_of, joined

EPS = 1e-12


class BertSelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.count, self.width = c["heads"], c["width"]
        self.size = self.width // self.count
        self.query = nn.Linear(c["width"], c["width"])
        self.key = nn.Linear(c["width"], c["width"])
        self.value = nn.Linear(c["width"], c["width"])

    def forward(self, x, mask):
        query, key, value = (heads_of(lin(x), self.count, self.size) for lin in (self.query, self.key, self.value))
        return joined(attend(query, key, value, self.size, mask), self.width)


class BertOutput(nn.Module):
    """dense, then the norm of the sum: BertSelfOutput and BertOutput."""

    def __init__(self, size, width):
        super().__init__()
        self.dense = nn.Linear(size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPS)

    def forward(self, x, residual):
        return self.LayerNorm(self.dense(x) + residual)


class BertAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self = BertSelfAttention(c)
        self.output = BertOutput(c["width"], c["width"])

    def forward(self, x, mask):
        return self.output(self.self(x, mask), x)


class BertIntermediate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dense = nn.Linear(c["width"], c["inner"])
        self.intermediate_act_fn = nn.GELU()

    def forward(self, x):
        return self.intermediate_act_fn(self.dense(x))


class BertLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention = BertAttention(c)
        self.intermediate = BertIntermediate(c)
        self.output = BertOutput(c["inner"], c["width"])

    def forward(self, x, mask):
        attended = self.attention(x, mask)
        return self.output(self.intermediate(attended), attended)


class BertEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layer = nn.ModuleList([BertLayer(c) for _ in range(c["layers"])])

    def forward(self, x, mask):
        for layer in self.layer:
            x = layer(x, mask)
        return x


class BertEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.word_embeddings = nn.Embedding(c["vocab"], c["width"], padding_idx=0)
        self.position_embeddings = nn.Embedding(c["positions"], c["width"])
        self.token_type_embeddings = nn.Embedding(2, c["width"])
        self.LayerNorm = nn.LayerNorm(c["width"], eps=EPS)
        self.register_buffer("position_ids", torch.arange(c["positions"]).expand((1, -1)), persistent=False)

    def forward(self, ids, types):
        position_ids = self.position_ids[:, : ids.size()[1]]
        x = self.word_embeddings(ids) + self.token_type_embeddings(types)
        x = x + self.position_embeddings(position_ids)
        return self.LayerNorm(x)


class BertPooler(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dense = nn.Linear(c["width"], c["width"])
        self.activation = nn.Tanh()

    def forward(self, x):
        return self.activation(self.dense(x[:, 0]))


class BertModel(nn.Module):
    def __init__(self, c, pooler):
        super().__init__()
        self.embeddings = BertEmbeddings(c)
        self.encoder = BertEncoder(c)
        self.pooler = BertPooler(c) if pooler else None

    def forward(self, ids, mask, types):
        x = self.encoder(self.embeddings(ids, types), extended(mask))
        return x if self.pooler is None else (x, self.pooler(x))


class BertForSequenceClassification(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.bert = BertModel(c, pooler=True)
        self.classifier = nn.Linear(c["width"], c["classes"])

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.classifier(self.bert(input_ids, attention_mask, token_type_ids)[1])


class BertPredictionHeadTransform(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dense = nn.Linear(c["width"], c["width"])
        self.transform_act_fn = nn.GELU()
        self.LayerNorm = nn.LayerNorm(c["width"], eps=EPS)

    def forward(self, x):
        return self.LayerNorm(self.transform_act_fn(self.dense(x)))


class BertLMPredictionHead(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.transform = BertPredictionHeadTransform(c)
        self.decoder = nn.Linear(c["width"], c["vocab"])
        self.bias = self.decoder.bias

    def forward(self, x):
        return self.decoder(self.transform(x))


class BertOnlyMLMHead(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.predictions = BertLMPredictionHead(c)

    def forward(self, x):
        return self.predictions(x)


class BertForMaskedLM(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.bert = BertModel(c, pooler=False)
        self.cls = BertOnlyMLMHead(c)
        if c["tied"]:
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.cls(self.bert(input_ids, attention_mask, token_type_ids))


class DistilAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.count, self.width = c["heads"], c["width"]
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            setattr(self, name, nn.Linear(c["width"], c["width"]))

    def forward(self, x, mask):
        batch, length = x.shape[0], x.shape[1]
        size = self.width // self.count

        def shape(y):
            return y.view(batch, -1, self.count, size).transpose(1, 2)

        query = shape(self.q_lin(x)) / math.sqrt(size)
        scores = torch.matmul(query, shape(self.k_lin(x)).transpose(2, 3))
        hidden = (mask == 0).view((batch, 1, 1, length)).expand_as(scores)
        scores = scores.masked_fill(hidden, torch.finfo(torch.float32).min)
        context = torch.matmul(nn.functional.softmax(scores, dim=-1), shape(self.v_lin(x)))
        return self.out_lin(context.transpose(1, 2).contiguous().view(batch, -1, self.width))


class DistilFfn(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.lin1 = nn.Linear(c["width"], c["inner"])
        self.lin2 = nn.Linear(c["inner"], c["width"])
        self.activation = nn.GELU()

    def forward(self, x):
        return self.lin2(self.activation(self.lin1(x)))


class DistilBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention = DistilAttention(c)
        self.sa_layer_norm = nn.LayerNorm(c["width"], eps=EPS)
        self.ffn = DistilFfn(c)
        self.output_layer_norm = nn.LayerNorm(c["width"], eps=EPS)

    def forward(self, x, mask):
        x = self.sa_layer_norm(self.attention(x, mask) + x)
        return self.output_layer_norm(self.ffn(x) + x)


class DistilEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.word_embeddings = nn.Embedding(c["vocab"], c["width"], padding_idx=0)
        self.position_embeddings = nn.Embedding(c["positions"], c["width"])
        self.LayerNorm = nn.LayerNorm(c["width"], eps=EPS)
        self.register_buffer("position_ids", torch.arange(c["positions"]).expand((1, -1)), persistent=False)

    def forward(self, ids):
        x = self.word_embeddings(ids) + self.position_embeddings(self.position_ids[:, : ids.size(1)])
        return self.LayerNorm(x)


class DistilTransformer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layer = nn.ModuleList([DistilBlock(c) for _ in range(c["layers"])])

    def forward(self, x, mask):
        for layer in self.layer:
            x = layer(x, mask)
        return x


class DistilBertForSequenceClassification(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.distilbert = Distil(c)
        self.pre_classifier = nn.Linear(c["width"], c["width"])
        self.classifier = nn.Linear(c["width"], c["classes"])

    def forward(self, input_ids, attention_mask):
        x = self.distilbert(input_ids, attention_mask)[:, 0]
        return self.classifier(nn.functional.relu(self.pre_classifier(x)))


class Distil(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = DistilEmbeddings(c)
        self.transformer = DistilTransformer(c)

    def forward(self, ids, mask):
        return self.transformer(self.embeddings(ids), mask)


class RobertaEmbeddings(nn.Module):
    """Positions counted over the tokens that are no padding, from padding_idx + 1 on."""

    def __init__(self, c):
        super().__init__()
        self.word_embeddings = nn.Embedding(c["vocab"], c["width"], padding_idx=1)
        self.position_embeddings = nn.Embedding(c["positions"] + 2, c["width"], padding_idx=1)
        self.token_type_embeddings = nn.Embedding(1, c["width"])
        self.LayerNorm = nn.LayerNorm(c["width"], eps=1e-5)

    def forward(self, ids):
        real = ids.ne(1).int()
        position_ids = (torch.cumsum(real, dim=1).type_as(real) * real).long() + 1
        types = torch.zeros(ids.size(), dtype=torch.long)
        x = self.word_embeddings(ids) + self.token_type_embeddings(types)
        return self.LayerNorm(x + self.position_embeddings(position_ids))


class RobertaModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = RobertaEmbeddings(c)
        self.encoder = BertEncoder(c)

    def forward(self, ids, mask):
        return self.encoder(self.embeddings(ids), extended(mask))


class RobertaClassificationHead(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dense = nn.Linear(c["width"], c["width"])
        self.out_proj = nn.Linear(c["width"], c["classes"])

    def forward(self, x):
        return self.out_proj(torch.tanh(self.dense(x[:, 0, :])))


class RobertaForSequenceClassification(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.roberta = RobertaModel(c)
        self.classifier = RobertaClassificationHead(c)

    def forward(self, input_ids, attention_mask):
        return self.classifier(self.roberta(input_ids, attention_mask))


class RobertaLMHead(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dense = nn.Linear(c["width"], c["width"])
        self.layer_norm = nn.LayerNorm(c["width"], eps=1e-5)
        self.decoder = nn.Linear(c["width"], c["vocab"])
        self.bias = self.decoder.bias

    def forward(self, x):
        return self.decoder(self.layer_norm(nn.functional.gelu(self.dense(x))))


class RobertaForMaskedLM(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.roberta = RobertaModel(c)
        self.lm_head = RobertaLMHead(c)
        if c["tied"]:
            self.lm_head.decoder.weight = self.roberta.embeddings.word_embeddings.weight

    def forward(self, input_ids, attention_mask):
        return self.lm_head(self.roberta(input_ids, attention_mask))


class TaggerOfTorch(nn.Module):
    """No transformers: torch's own nn.MultiheadAttention and nn.TransformerEncoder, as in its tutorials, for classes."""

    def __init__(self, c):
        super().__init__()
        self.embedding = nn.Embedding(c["vocab"], c["width"])
        self.position = nn.Parameter(torch.zeros(1, c["positions"], c["width"]))
        layer = nn.TransformerEncoderLayer(c["width"], c["heads"], c["inner"], dropout=0.0, batch_first=True)
        # Without nested tensors and with the module in training mode the exporter sees the plain operators.
        self.encoder = nn.TransformerEncoder(layer, c["layers"], enable_nested_tensor=False)
        self.pool = nn.MultiheadAttention(c["width"], c["heads"], batch_first=True)
        self.head = nn.Linear(c["width"], c["classes"])

    def forward(self, input_ids, attention_mask):
        x = self.embedding(input_ids) + self.position[:, : input_ids.size(1)]
        padding = attention_mask == 0
        x = self.encoder(x, src_key_padding_mask=padding)
        pooled, _ = self.pool(x[:, :1], x, x, key_padding_mask=padding, need_weights=False)
        return self.head(pooled[:, 0])


