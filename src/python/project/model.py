"""The base model of this run with what it trained."""

from pathlib import Path

import torch
import transformers
from peft import PeftModel, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file

import settings

HERE = Path(__file__).resolve().parent

CLASSES = {
    "image-classification": "AutoModelForImageClassification",
    "text-classification": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "causal-lm": "AutoModelForCausalLM",
    "masked-lm": "AutoModelForMaskedLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
}


class PlainBlockDiag:
    """PEFT builds the factors of BOFT beyond the first with a CUDA extension only; this is the same in plain PyTorch."""

    @staticmethod
    def apply(blocks):
        return torch.stack([torch.block_diag(*torch.unbind(factor)) for factor in blocks])


def load_base(name):
    """The base model in float32. Stops if weights are missing that nothing in this folder replaces."""
    options = {"dtype": torch.float32}
    if settings.LABELS is not None:
        options["num_labels"] = len(settings.LABELS)
        options["id2label"] = dict(enumerate(settings.LABELS))
        options["label2id"] = {label: i for i, label in enumerate(settings.LABELS)}
        options["ignore_mismatched_sizes"] = True
    elif settings.TASK == "regression":
        options.update(num_labels=1, problem_type="regression", ignore_mismatched_sizes=True)
    if (HERE / name).is_dir():
        name = str(HERE / name)
    factory = getattr(transformers, CLASSES[settings.TASK])
    model, report = factory.from_pretrained(name, output_loading_info=True, **options)
    replaced = tuple(f"{module}." for module in settings.SAVED_MODULES)
    changed = {entry[0] if isinstance(entry, tuple) else entry for entry in report["mismatched_keys"]}
    lacking = sorted(key for key in set(report["missing_keys"]) | changed if not key.startswith(replaced))
    if lacking:
        raise SystemExit(
            f"{name} has no weights of the right shape for {', '.join(lacking[:5])}"
            f"{' and others' if len(lacking) > 5 else ''}, which would start at random."
            " Name the model that the ONNX file was exported from with --base."
        )
    return model


def load(name):
    """The base model `name` with the adapter (or the weights) of this run; only what trained there requires gradients."""
    model = load_base(name)
    return with_adapter(model) if settings.IS_PEFT else with_weights(model)


def with_adapter(base):
    folder = HERE / "adapter"
    if settings.METHOD == "boft":
        import peft.tuners.boft.layer as boft

        # Asked without CUDA, PEFT would say that it trains one factor.
        if not torch.cuda.is_available() or not boft.get_fbd_cuda():
            boft.get_fbd_cuda = lambda: True
            boft.FastBlockDiag = PlainBlockDiag
    model = PeftModel.from_pretrained(base, folder, is_trainable=True)
    stored = set(load_file(folder / "adapter_model.safetensors"))
    unused = sorted(stored - set(get_peft_model_state_dict(model)))
    if unused:
        raise SystemExit(
            f"The adapter's {unused[0]} has no place in this base model; --base must name the same architecture."
        )
    return model


def with_weights(model):
    """Whole weights, trained without an adapter: PEFT has no such method."""
    trained = load_file(HERE / "trained.safetensors")
    parameters = dict(model.named_parameters(remove_duplicate=False))
    unknown = sorted(set(trained) - set(parameters))
    if unknown:
        raise SystemExit(f"The base model has no {unknown[0]}; --base must name the same architecture.")
    model.requires_grad_(False)
    with torch.no_grad():
        for key, value in trained.items():
            parameters[key].copy_(value)
            parameters[key].requires_grad_(True)
    return model


def train_mode(model):
    """Dropout in the adapter only: the ONNX graph that was trained has none of its own."""
    model.eval()
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.train()


def penalty(model):
    """AdaLoRA's orthogonal regulariser, which PEFT adds only where the model computes the loss itself."""
    if settings.METHOD != "adalora":
        return 0.0
    weight = model.peft_config["default"].orth_reg_weight
    norms = []
    for key, value in model.named_parameters():
        if ".lora_A." in key or ".lora_B." in key:
            gram = value @ value.T if ".lora_A." in key else value.T @ value
            norms.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
    return weight * torch.stack(norms).mean()


def after_step(model, step):
    """AdaLoRA's budget: moves ranks to where they matter. Gradients must still be there."""
    if settings.METHOD == "adalora":
        model.base_model.update_and_allocate(step)


def save(model, folder, state):
    """What `load` reads, in `folder`; `state` is the whole state dict."""
    if settings.IS_PEFT:
        model.save_pretrained(folder / "adapter", state_dict=state)
        return
    names = [key for key, value in model.named_parameters(remove_duplicate=False) if value.requires_grad]
    save_file({key: state[key].contiguous().cpu().clone() for key in names}, folder / "trained.safetensors")
