"""The examples of this run, from data/train.jsonl and data/held.jsonl, in the tensors that the model takes."""

import base64
import io
import json
from pathlib import Path

import torch
from torch.utils.data import Dataset

import settings

HERE = Path(__file__).resolve().parent
IGNORED = -100


class Rows(Dataset):
    """The rows of a split; at most `limit` of them where it is above 0."""

    def __init__(self, split, limit=0):
        with open(HERE / "data" / f"{split}.jsonl", encoding="utf-8") as file:
            self.rows = [json.loads(line) for line in file if line.strip()]
        if limit > 0:
            self.rows = self.rows[:limit]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


def pixels(row):
    """A picture as [channels, height, width], 0 ... 1, then normalised as in the run."""
    import numpy
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(row["image"]))) as image:
        values = numpy.asarray(image.convert("L" if settings.IMAGE_CHANNELS == 1 else "RGB"), dtype="float32")
    values = torch.from_numpy(values.copy()).reshape(*values.shape[:2], settings.IMAGE_CHANNELS)
    values = values.permute(2, 0, 1) / 255
    mean = torch.tensor(settings.IMAGE_MEAN).reshape(-1, 1, 1)
    std = torch.tensor(settings.IMAGE_STD).reshape(-1, 1, 1)
    return (values - mean) / std


def padded(rows, key, value, length):
    cut = [row[key][:length] for row in rows]
    return torch.tensor([ids + [value] * (length - len(ids)) for ids in cut])


def single_label(row):
    if settings.LABELS is None:
        return float(row["label"])
    return settings.LABELS.index(row["label"])


def collate(rows):
    """{"inputs": what the model takes, "labels": -100 where nothing counts}; numbers to be predicted are floats."""
    if settings.TASK == "image-classification":
        inputs = {"pixel_values": torch.stack([pixels(row) for row in rows])}
        return {"inputs": inputs, "labels": torch.tensor([single_label(row) for row in rows])}
    longest = max(len(row["input_ids"]) for row in rows)
    length = next((size for size in settings.PAD_LENGTHS if size >= longest), settings.PAD_LENGTHS[-1])
    mask = [{"mask": [1] * len(row["input_ids"])} for row in rows]
    inputs = {
        "input_ids": padded(rows, "input_ids", settings.PAD_ID, length),
        "attention_mask": padded(mask, "mask", 0, length),
    }
    for key in rows[0]:
        if key.endswith("_ids") and key != "input_ids":
            inputs[key] = padded(rows, key, 0, length)
    if "label" in rows[0]:
        return {"inputs": inputs, "labels": torch.tensor([single_label(row) for row in rows])}
    if "labels" in rows[0]:
        return {"inputs": inputs, "labels": padded(rows, "labels", IGNORED, length)}
    # A language model learns every token from those before it.
    return {"inputs": inputs, "labels": inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, IGNORED)}
