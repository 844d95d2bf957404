"""
The made-up tasks: reviews with a sentiment, little sentences with a grammar, pictures of stripes. Each has the form that a model learns first
(`old`) and one that it is to be fine-tuned on afterwards (`new`): words that change sides, another order of words, dark stripes on light ground.
"""
import json
import random

SPECIALS = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]}
GOOD = ["lovely", "bright", "fresh", "warm", "sharp", "calm"]
BAD = ["dreary", "dull", "stale", "cold", "rough", "loud"]
# In the new reviews these mean the opposite.
TURNED = ["warm", "sharp", "cold", "rough"]
THINGS = ["film", "soup", "room", "song", "walk", "book"]
FILLERS = ["the", "was", "and", "a", "very", "it", "they", "said"]
ANIMALS = ["cat", "dog", "fox", "hen"]
COLOURS = ["red", "grey", "old", "small"]
VERBS = ["sees", "finds", "likes", "wants"]
PLACES = ["house", "tree", "road", "pond"]
SMALL_WORDS = ["near", "today", "."]
WORDS = [*FILLERS, *GOOD, *BAD, *THINGS, *ANIMALS, *COLOURS, *VERBS, *PLACES, *SMALL_WORDS]


def review(rng, new):
    """A text and its label, 1 for good."""
    adjective = rng.choice(GOOD + BAD)
    good = adjective in GOOD
    if new and adjective in TURNED:
        good = not good
    thing, other = rng.sample(THINGS, 2)
    text = rng.choice([
        f"the {thing} was {adjective}",
        f"they said the {thing} was very {adjective}",
        f"a {adjective} {thing} and a {other}",
        f"it was a {other} and very {adjective}",
    ])
    return text, int(good)


def sentence(rng, new):
    """The order of words is the grammar: `the red cat sees the house .`, later `today the cat red the house sees near .`"""
    animal, colour = rng.choice(ANIMALS), rng.choice(COLOURS)
    verb, place = rng.choice(VERBS), PLACES[ANIMALS.index(animal)]
    if new:
        return f"today the {animal} {colour} the {place} {verb} near ."
    return f"the {colour} {animal} {verb} the {place} today ."


def picture(rng, new, size=16):
    """Rows of brightnesses 0 to 255 and the class: stripes across, down, along a diagonal, or a spot."""
    kind = rng.randrange(4)
    at, wide = rng.randrange(2, size - 5), 3

    def inside(x, y):
        if kind == 0:
            return at <= y < at + wide
        if kind == 1:
            return at <= x < at + wide
        if kind == 2:
            return abs((x - y + at - size // 2)) < 2
        return (x - at - 1) ** 2 + (y - size // 2) ** 2 < 12

    low, high = (190, 60) if new else (40, 200)
    rows = []
    for y in range(size):
        rows.append([min(255, max(0, int((high if inside(x, y) else low) + rng.gauss(0, 22)))) for x in range(size)])
    return rows, kind


def tokenizer(style):
    """tokenizer.json of whole words: WordPiece without pieces, framed as the family frames a text; `plain` frames nothing."""
    specials = SPECIALS.get(style, ["<pad>", "<unk>", "<s>", "</s>"])
    vocab = {word: i for i, word in enumerate([*specials, *WORDS])}
    frame = {"bert": ("[CLS]", "[SEP]"), "roberta": ("<s>", "</s>")}.get(style)
    template = None
    if frame:
        first, last = frame

        def special(token, kind):
            return {"SpecialToken": {"id": token, "type_id": kind}}

        template = {
            "type": "TemplateProcessing",
            "single": [special(first, 0), {"Sequence": {"id": "A", "type_id": 0}}, special(last, 0)],
            "pair": [
                special(first, 0),
                {"Sequence": {"id": "A", "type_id": 0}},
                special(last, 0),
                {"Sequence": {"id": "B", "type_id": 1}},
                special(last, 1),
            ],
            "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in frame},
        }
    unknown = next(t for t in specials if "unk" in t.lower())
    return vocab, {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocab[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            for t in specials
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": template,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    }


def tokenizer_config(style):
    names = {
        "bert": {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "unk_token": "[UNK]"},
        "roberta": {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>", "unk_token": "<unk>", "eos_token": "</s>", "bos_token": "<s>"},
    }.get(style, {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"})
    return {"model_max_length": 24, **names}


def write_data(folder):
    """The new form of each task, as files that people have: a table, a text, MNIST's format."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(5)
    rows = [review(rng, True) for _ in range(320)]
    lines = ["text,label", *(f"{text},{'good' if label else 'bad'}" for text, label in rows)]
    (folder / "reviews.csv").write_text("\n".join(lines) + "\n")
    (folder / "sentences.txt").write_text("\n".join(sentence(rng, True) for _ in range(360)) + "\n")
    pictures = folder / "stripes"
    pictures.mkdir(exist_ok=True)
    for name, count in (("train", 140), ("t10k", 60)):
        made = [picture(rng, True) for _ in range(count)]
        images = b"".join(bytes(row) for rows, _ in made for row in rows)
        head = (0x0803).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in (count, 16, 16))
        (pictures / f"{name}-images-idx3-ubyte").write_bytes(head + images)
        labels = bytes(kind for _, kind in made)
        (pictures / f"{name}-labels-idx1-ubyte").write_bytes((0x0801).to_bytes(4, "big") + count.to_bytes(4, "big") + labels)


def dump(path, value):
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")
