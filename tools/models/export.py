#!/usr/bin/env python3
"""
Writes test/fixtures/models: small models of the families that Papilio trains, exported by torch 1.13's TorchScript exporter under transformers' module
names. `trained` ones first learn a made-up task (corpus.py), so that fine-tuning starts from something; the others keep initial weights.

    /usr/bin/python3 tools/models/export.py [NAME …]
"""
import random
import sys
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

import corpus
import decoders
import encoders
import speech
import vision
from parts import distinct, spread

warnings.filterwarnings("ignore")
OUT = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "models"
TEXT = {"width": 16, "heads": 2, "inner": 32, "layers": 2, "positions": 24, "classes": 2, "tied": False}
PICTURE = {"width": 16, "heads": 2, "inner": 32, "layers": 2, "image": 16, "patch": 4, "classes": 4}
DECODER = {**TEXT, "kv": 1, "head_size": 8}
BATCH, LENGTH = 2, 7


def bert_like(kind, **more):
    return {"make": kind, "style": "bert", "sizes": {**TEXT, **more}, "seed": 3}


def roberta_like(kind, **more):
    return {"make": kind, "style": "roberta", "sizes": {**TEXT, **more}, "seed": 4}


def decoder(family, **more):
    sizes = {**DECODER, "family": family, **more}
    kind = decoders.GPT2LMHeadModel if family == "gpt2" else decoders.LlamaForCausalLM
    return {"make": kind, "style": "plain", "sizes": sizes, "seed": 5}


def seeing(kind, **more):
    return {"make": kind, "sizes": {**PICTURE, **more}, "seed": 6}


E, V, D, S = encoders, vision, decoders, speech
CONFIGS = {
    "bert-classes": ("bert", "BertForSequenceClassification"),
    "bert-words": ("bert", "BertForMaskedLM"),
    "distilbert": ("distilbert", "DistilBertForSequenceClassification"),
    "roberta-classes": ("roberta", "RobertaForSequenceClassification"),
    "roberta-words": ("roberta", "RobertaForMaskedLM"),
    "torch": (None, None),
    "vit": ("vit", "ViTForImageClassification"),
    "deit": ("deit", "DeiTForImageClassification"),
    "dinov2": ("dinov2", "Dinov2ForImageClassification"),
    "dinov2-bare": ("dinov2", "Dinov2Model"),
    "clip-vision": ("clip_vision_model", "CLIPForImageClassification"),
    "clip-text": ("clip_text_model", "CLIPTextModelWithProjection"),
    "gpt2": ("gpt2", "GPT2LMHeadModel"),
    "llama": ("llama", "LlamaForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
    "gemma": ("gemma", "GemmaForCausalLM"),
    "phi3": ("phi3", "Phi3ForCausalLM"),
    "t5": ("t5", "T5ForConditionalGeneration"),
    "whisper": ("whisper", "WhisperForConditionalGeneration"),
}
# What is exported how. `learn`: updates on the made-up task; `fold`: constant folding, without which a tied head stays tied in the file.
MODELS = {
    "bert-classes": {**bert_like(E.BertForSequenceClassification, width=20), "config": "bert-classes", "opset": 17, "learn": 250},
    "bert-classes-op11-traced-names": {
        **bert_like(E.BertForSequenceClassification),
        "config": "bert-classes",
        "opset": 11,
        # What the exporter calls them where nobody named them.
        "names": (["input.1", "mask.1", "input.3"], ["scores"]),
    },
    "bert-words": {**bert_like(E.BertForMaskedLM, layers=1, width=20), "config": "bert-words", "opset": 14, "learn": 300},
    "bert-words-tied": {**bert_like(E.BertForMaskedLM, tied=True, layers=1), "config": "bert-words", "opset": 14, "fold": False},
    "distilbert": {**bert_like(E.DistilBertForSequenceClassification, width=20), "config": "distilbert", "opset": 11, "learn": 250},
    "roberta-classes": {**roberta_like(E.RobertaForSequenceClassification, layers=1, width=20), "config": "roberta-classes", "opset": 14, "learn": 250},
    "roberta-words-tied": {**roberta_like(E.RobertaForMaskedLM, tied=True, layers=1), "config": "roberta-words", "opset": 17, "fold": False},
    "torch-attention": {**bert_like(E.TaggerOfTorch, layers=1), "config": "torch", "opset": 17, "training": True},
    "vit": {**seeing(V.ViTForImageClassification, width=20), "config": "vit", "opset": 17, "learn": 250},
    "vit-op11": {**seeing(V.ViTForImageClassification, layers=1), "config": "vit", "opset": 11, "fold": False},
    "deit-fixed": {**seeing(V.DeiTForImageClassification, layers=1), "config": "deit", "opset": 11, "bare": True},
    "deit": {**seeing(V.DeiTForImageClassification, layers=1), "config": "deit", "opset": 14},
    "dinov2": {**seeing(V.Dinov2ForImageClassification, width=20), "config": "dinov2", "opset": 14, "learn": 250},
    "dinov2-bare": {**seeing(V.Dinov2Model, layers=1), "config": "dinov2-bare", "opset": 17},
    "clip-vision": {**seeing(V.CLIPForImageClassification, width=20), "config": "clip-vision", "opset": 14, "learn": 250},
    "clip-text": {**bert_like(V.CLIPTextModelWithProjection, layers=1), "config": "clip-text", "opset": 14},
    "gpt2": {**decoder("gpt2", layers=1, width=20), "config": "gpt2", "opset": 14, "learn": 300, "distinct": True},
    "gpt2-tied": {**decoder("gpt2", tied=True, layers=1), "config": "gpt2", "opset": 17, "fold": False},
    "gpt2-tied-folded": {**decoder("gpt2", tied=True, layers=1), "config": "gpt2", "opset": 11},
    "llama": {**decoder("llama", layers=1, width=20, head_size=10), "config": "llama", "opset": 14, "learn": 300},
    "llama-tied": {**decoder("llama", tied=True, layers=1), "config": "llama", "opset": 17, "fold": False},
    "qwen2": {**decoder("qwen2", layers=1, width=20, head_size=10), "config": "qwen2", "opset": 17, "learn": 300},
    "qwen2-tied": {**decoder("qwen2", tied=True, layers=1), "config": "qwen2", "opset": 14, "fold": False},
    "qwen3": {**decoder("qwen3", layers=1, width=20, head_size=10), "config": "qwen3", "opset": 17, "learn": 300},
    "qwen3-tied": {**decoder("qwen3", tied=True, layers=1), "config": "qwen3", "opset": 14, "fold": False},
    "gemma": {**decoder("gemma", layers=1, width=20, head_size=10), "config": "gemma", "opset": 17, "learn": 300},
    "gemma-tied": {**decoder("gemma", tied=True, layers=1), "config": "gemma", "opset": 14, "fold": False},
    "phi3": {**decoder("phi3", width=16, kv=2), "config": "phi3", "opset": 14, "learn": 300},
    "t5-tied": {**decoder("t5", tied=True, layers=1), "make": S.T5ForConditionalGeneration, "config": "t5", "opset": 14, "fold": False},
    "whisper-tied": {
        **decoder("whisper", layers=1, tied=True, mels=8, frames=16),
        "make": S.WhisperForConditionalGeneration,
        "config": "whisper",
        "opset": 14,
        "fold": False,
    },
}


def data_of(spec):
    if "style" not in spec:
        return "stripes"
    return "sentences.txt" if "LM" in spec["make"].__name__ else "reviews.csv"


def inputs_of(spec):
    """Example inputs by name, with padding at the end of the second row."""
    torch.manual_seed(1)
    if "style" not in spec:
        side = spec["sizes"]["image"]
        return {"pixel_values": torch.randn(BATCH, 3, side, side)}
    ids = torch.randint(5, spec["sizes"]["vocab"], (BATCH, LENGTH))
    mask = torch.ones(BATCH, LENGTH, dtype=torch.long)
    mask[1, 5:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    name = spec["config"]
    if name.startswith("bert"):
        given["token_type_ids"] = torch.zeros_like(ids)
    elif name == "t5":
        given["decoder_input_ids"] = ids[:, :5]
    elif name == "whisper":
        sizes = spec["sizes"]
        return {"input_features": torch.randn(BATCH, sizes["mels"], sizes["frames"]), "decoder_input_ids": ids}
    elif spec["make"] is decoders.LlamaForCausalLM:
        given["position_ids"] = torch.arange(LENGTH)[None].expand(BATCH, -1).contiguous()
    return given


def outputs_of(spec):
    return {
        "dinov2-bare": ["last_hidden_state", "pooler_output"],
        "clip-text": ["text_embeds", "last_hidden_state"],
    }.get(spec["config"], ["logits"])


def config_of(spec):
    model_type, architecture = CONFIGS[spec["config"]]
    sizes = spec["sizes"]
    if model_type is None:
        return {"id2label": {"0": "bad", "1": "good"}}
    config = {"model_type": model_type, "architectures": [architecture]}
    if "image" in sizes:
        shape = {"image_size": sizes["image"], "patch_size": sizes["patch"], "num_channels": 3}
        labels = {str(i): label for i, label in enumerate(("0", "1", "2", "3"))} if "ForImage" in architecture else None
        config.update(shape)
    else:
        config.update({"vocab_size": sizes["vocab"], "tie_word_embeddings": sizes["tied"]})
        labels = {"0": "bad", "1": "good"} if "ForSequence" in architecture else None
    names = {
        "gpt2": {"n_embd": "width", "n_head": "heads", "n_layer": "layers", "n_positions": "positions"},
        "distilbert": {"dim": "width", "n_heads": "heads", "n_layers": "layers", "hidden_dim": "inner", "max_position_embeddings": "positions"},
        "t5": {"d_model": "width", "num_heads": "heads", "num_layers": "layers", "d_ff": "inner"},
        "whisper": {"d_model": "width", "decoder_attention_heads": "heads", "decoder_layers": "layers", "max_target_positions": "positions"},
    }.get(model_type, {"hidden_size": "width", "num_attention_heads": "heads", "num_hidden_layers": "layers", "intermediate_size": "inner"})
    config.update({key: sizes[size] for key, size in names.items()})
    if spec["make"] is decoders.LlamaForCausalLM:
        config.update({"num_key_value_heads": sizes["kv"], "head_dim": sizes["head_size"]})
    if "image" not in sizes and "hidden_size" in names:
        config["max_position_embeddings"] = sizes["positions"] + (2 if model_type == "roberta" else 0)
    if labels:
        config["id2label"] = labels
        config["label2id"] = {label: int(i) for i, label in labels.items()}
    return config


def batch_of(spec, rng, vocab):
    """A batch of the made-up task in its old form: what the model takes, and what it should say."""
    if "style" not in spec:
        made = [corpus.picture(rng, False) for _ in range(32)]
        pixels = torch.tensor([rows for rows, _ in made], dtype=torch.float32) / 255
        return {"pixel_values": ((pixels - 0.5) / 0.5)[:, None].expand(-1, 3, -1, -1)}, torch.tensor([k for _, k in made])
    words = "Masked" in spec["make"].__name__ or spec["style"] == "plain"
    texts = [(corpus.sentence(rng, False), 0) if words else corpus.review(rng, False) for _ in range(32)]
    frame = {"bert": ("[CLS]", "[SEP]", "[PAD]"), "roberta": ("<s>", "</s>", "<pad>")}.get(spec["style"])
    rows = [[vocab[w] for w in text.split()] for text, _ in texts]
    if frame:
        rows = [[vocab[frame[0]], *row, vocab[frame[1]]] for row in rows]
    pad = vocab[frame[2]] if frame else 0
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    given = {"input_ids": ids, "attention_mask": mask}
    labels = torch.tensor([label for _, label in texts])
    if spec["config"].startswith("bert"):
        given["token_type_ids"] = torch.zeros_like(ids)
    if spec["make"] is decoders.LlamaForCausalLM:
        given["position_ids"] = torch.arange(longest)[None].expand(len(rows), -1)
    if spec["style"] == "plain":
        labels = torch.cat([ids[:, 1:], torch.full((len(rows), 1), -100)], 1)
    elif words:
        hidden = torch.tensor([[m == 1 and 0 < i < sum(row) - 1 and rng.random() < 0.2 for i, m in enumerate(row)] for row in mask.tolist()])
        labels = ids.masked_fill(~hidden, -100)
        given["input_ids"] = ids.masked_fill(hidden, vocab["[MASK]" if spec["style"] == "bert" else "<mask>"])
    return given, labels


def learn(model, spec, vocab):
    """AdamW on the old task; returns the last loss."""
    rng = random.Random(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    model.train()
    for step in range(spec["learn"]):
        given, labels = batch_of(spec, rng, vocab)
        logits = model(**given)
        loss = nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * min(1.0, (step + 1) / 20) * (1 - step / spec["learn"])
        optimizer.step()
    return float(loss)


def export(name, spec):
    vocab = None
    if "style" in spec:
        vocab, tokenizer = corpus.tokenizer(spec["style"])
        spec = {**spec, "sizes": {**spec["sizes"], "vocab": len(vocab)}}
    torch.manual_seed(spec["seed"])
    model = spread(spec["make"](spec["sizes"]), spec["seed"])
    if spec.get("distinct"):
        distinct(model, spec["seed"])
    note = f"loss {learn(model, spec, vocab):.3f}" if "learn" in spec else "untrained"
    model.train(spec.get("training", False))
    for parameter in model.parameters():
        parameter.requires_grad_(spec.get("training", False))
    given, outputs = inputs_of(spec), outputs_of(spec)
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    names_in, names_out = spec.get("names", (list(given), outputs))
    axes = {
        name: {0: "batch_size", 1: "sequence_length"} if value.dim() == 2 else {0: "batch_size"}
        for name, value in zip(names_in, given.values())
    }
    if "decoder_input_ids" in axes:
        axes["decoder_input_ids"] = {0: "batch_size", 1: "decoder_sequence_length"}
    axes.update({name: {0: "batch_size"} for name in names_out})
    # `bare`: as torch.onnx.export(model, example, path) does it, sizes of the example and all.
    names = {} if spec.get("bare") else {"input_names": names_in, "output_names": names_out, "dynamic_axes": axes}
    torch.onnx.export(
        model,
        tuple(given.values()),
        str(path),
        opset_version=spec["opset"],
        do_constant_folding=spec.get("fold", True),
        training=torch.onnx.TrainingMode.PRESERVE,
        **names,
    )
    onnx_model = onnx.load(str(path))
    for node in onnx_model.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(onnx_model)
    onnx.save(onnx_model, str(path))
    corpus.dump(folder / "config.json", config_of(spec))
    if vocab:
        corpus.dump(folder / "tokenizer.json", tokenizer)
        corpus.dump(folder / "tokenizer_config.json", corpus.tokenizer_config(spec["style"]))
    else:
        corpus.dump(folder / "preprocessor_config.json", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_resize": True, "size": {"height": 16, "width": 16}})
    print(f"{name:28} {path.stat().st_size / 1000:6.1f} kB, {len(onnx_model.graph.node):4} nodes, {note}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or list(MODELS)
    corpus.write_data(OUT / "data")
    # The data that each trained model is fine-tuned on.
    corpus.dump(OUT / "trained.json", {name: data_of(spec) for name, spec in MODELS.items() if "learn" in spec})
    for name in wanted:
        export(name, MODELS[name])
