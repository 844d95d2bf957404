"""Makes and checks the figures of test/fixtures/peft with Hugging Face's PEFT; README.md says how.

One adapted layer is a case: its base weight, an input, an upstream gradient and the adapter's tensors go in; what PEFT's forward, autograd,
get_delta_weight and merge make of them is the case's "expected". Every number is printed as short as float32 distinguishes it.
"""

import argparse
import copy
import json
import sys
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from torch import nn
from transformers.pytorch_utils import Conv1D

FIXTURES = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "peft"
PREFIX = "base_model.model."
# Of a configuration as to_dict gives it: what its class does not take.
NOT_TAKEN = {"peft_type", "peft_version", "auto_mapping", "runtime_config"}
# How far a figure that is made again may be from the old one, of the largest number of its tensor, beside what float32 itself is off.
TOLERANCE = 1e-6


class Toy(nn.Module):
    """A model of one layer, `lin`."""

    def __init__(self, layer):
        super().__init__()
        self.lin = layer

    def forward(self, x):
        return self.lin(x)


class BlockDiagonal:
    """What PEFT's CUDA extension computes for BOFT, in plain torch: blocks [m, n, b, b] to matrices [m, n*b, n*b], and its adjoint."""

    @staticmethod
    def forward(blocks):
        return [torch.stack([torch.block_diag(*factor) for factor in blocks])]

    @staticmethod
    def backward(gradient, blocks):
        m, n, b, _ = blocks.shape
        parts = [gradient[:, k * b : (k + 1) * b, k * b : (k + 1) * b] for k in range(n)]
        return [torch.stack(parts, dim=1).reshape(m, n, b, b)]


def use_block_diagonal():
    """PEFT builds one butterfly factor only where its extension does not load."""
    from peft.tuners.boft import layer

    layer.get_fbd_cuda = lambda: BlockDiagonal


# ---- one case ----


def config_of(method, given):
    cls = PEFT_TYPE_TO_CONFIG_MAPPING[method]
    taken = {f.name for f in fields(cls) if f.init} - NOT_TAKEN
    return cls(**{name: copy.deepcopy(value) for name, value in given.items() if name in taken})


def base_layer(kind, inputs, outputs, bias, weight):
    """weight: as the layer stores it, [out, in]; Conv1D and embeddings [in, out]."""
    if kind == "linear":
        layer = nn.Linear(inputs, outputs, bias=bias is not None)
    elif kind == "conv1d":
        layer = Conv1D(outputs, inputs)
    elif kind == "embedding":
        layer = nn.Embedding(inputs, outputs)
    else:
        raise ValueError(f"There is no layer of the kind {kind}.")
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def tensor(entry):
    return torch.tensor(entry["data"], dtype=torch.float64).reshape(entry["shape"])


def adapted(case, dtype):
    """PEFT's model of a case, with the case's adapter in it."""
    bias = None if case["bias"] is None else tensor(case["bias"])
    layer = base_layer(case["layer"]["type"], case["in_features"], case["out_features"], bias, tensor(case["base_weight"]))
    model = get_peft_model(Toy(layer), config_of(case["method"], case["config"]))
    if case["adapter"] is not None:
        given = {name: tensor(entry).float() for name, entry in case["adapter"].items()}
        missing = set(get_peft_model_state_dict(model)) ^ set(given)
        if missing:
            raise SystemExit(f"{case['name']}: PEFT has other tensors than the case: {sorted(missing)}")
        set_peft_model_state_dict(model, given)
    model = model.to(dtype).eval()
    if dtype == torch.float64 and case["method"] == "FOURIERFT":
        exact_fourier(model.base_model.model.lin)
    return model


def exact_fourier(layer):
    """PEFT takes FourierFT's transform in float32, whatever the model has."""

    def delta(adapter):
        rows, columns = layer.indices[adapter]
        dense = torch.zeros(layer.out_features, layer.in_features, dtype=torch.float64)
        dense = dense.index_put((rows, columns), layer.fourierft_spectrum[adapter])
        return torch.fft.ifft2(dense).real * layer.fourierft_scaling[adapter]

    layer.get_delta_weight = delta


def file_name(name, known):
    """PEFT names its parameters by adapter in memory, `….oft_R.default.weight`, and not in a file; DoRA's magnitude loses its `.weight` there too."""
    name = name.replace(".default", "")
    return name if name in known else name.removesuffix(".weight")


def outcome(case, dtype):
    """What PEFT gives: (figures by the fixtures' names, tensors of the adapter at the start)."""
    model = adapted(case, dtype)
    layer = model.base_model.model.lin
    start = {name: value.detach().clone() for name, value in get_peft_model_state_dict(model).items()}
    x = tensor(case["x"]).to(dtype)
    x = x.long() if case["layer"]["type"] == "embedding" else x.requires_grad_()
    y = model(x)
    loss = (y * tensor(case["g"]).to(dtype)).sum()
    loss.backward()
    grad = {}
    for name, parameter in model.named_parameters():
        name = file_name(name, start)
        if parameter.requires_grad and name in start:
            # None where nothing depends on it, such as the identity that one term of the Neumann series is.
            grad[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    if x.requires_grad:
        grad["x"] = x.grad
    after = {name: value.detach().clone() for name, value in get_peft_model_state_dict(model).items()}
    changed = {name: value for name, value in after.items() if not torch.equal(value, start[name])}
    with torch.no_grad(), model.disable_adapter():
        y_base = model(x)
    found = {"y": y, "y_base": y_base, "loss": loss, "grad": grad}
    if changed:
        found["adapter_after_forward"] = changed
    with torch.no_grad():
        if hasattr(layer, "get_delta_weight"):
            delta = layer.get_delta_weight("default")
            found["delta_weight"] = dict(zip(("rotation", "scale"), delta)) if isinstance(delta, tuple) else delta
        merged = adapted(case, dtype)
        base = merged.base_model.model.lin.get_base_layer()
        bias = None if getattr(base, "bias", None) is None else base.bias.detach().clone()
        merged.merge_adapter()
        found["merged_weight"] = base.weight
        if bias is not None and not torch.equal(base.bias, bias):
            found["merged_bias"] = base.bias
    return found, start


def is_leaf(value):
    return not isinstance(value, dict) or set(value) == {"shape", "data"}


def flat(found):
    """Figures by one name each, as "f32_noise" has them."""
    named = {}
    for key, value in found.items():
        if is_leaf(value):
            named[key] = value
        else:
            joint = "." if key == "delta_weight" else ":"
            named.update({f"{key}{joint}{name}": part for name, part in value.items()})
    return named


def short(value):
    """As few digits as float32 needs."""
    return float(str(np.float32(value)))


def printed(value):
    if isinstance(value, dict):
        return {name: printed(part) for name, part in value.items()}
    if value.dim() == 0:
        return short(value.item())
    data = [v if isinstance(v, int) else short(v) for v in value.detach().flatten().tolist()]
    return {"shape": list(value.shape), "data": data}


def noise_of(single, double):
    """How far float32 itself is off, by figure."""
    exact = flat(double)
    off = {name: (value.double() - exact[name]).abs().max().item() for name, value in flat(single).items()}
    return {name: float(f"{worst:.8e}") for name, worst in off.items()}


def finished(case):
    """The case with PEFT's figures in it."""
    single, start = outcome(case, torch.float32)
    double, _ = outcome(case, torch.float64)
    done = {**case, "adapter": printed(start)}
    layer = adapted(case, torch.float32).base_model.model.lin
    if hasattr(layer, "indices"):
        rows, columns = layer.indices["default"].tolist()
        done["indices"] = {"rows": rows, "cols": columns}
    return {**done, "expected": printed(single), "f32_noise": noise_of(single, double)}


# ---- files ----


def read(name):
    return json.loads((FIXTURES / name).read_text())


def write(name, value):
    (FIXTURES / name).write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    print(f"wrote {name}")


def numbers(entry):
    return np.asarray(entry["data"] if isinstance(entry, dict) else [entry], dtype=np.float64)


def differences(old, new):
    """Names of a case's figures that are others now, with how far they are off."""
    made = flat(new["expected"])
    for name, entry in flat(old["expected"]).items():
        if name.endswith("_max_err"):
            continue  # PEFT's own round trips, which nothing reads
        a, b = numbers(entry), numbers(made.get(name, []))
        off = np.abs(a - b).max(initial=0) if a.shape == b.shape else np.inf
        # What float32 leaves open, twice: the old figure and the new one.
        if not off <= TOLERANCE * max(1.0, np.abs(a).max(initial=0)) + 2 * old["f32_noise"].get(name, 0):
            yield name, off
    if old.get("indices") != new.get("indices"):
        yield "indices", "others"
    for name in sorted(made.keys() - flat(old["expected"]).keys()):
        yield name, "new"


# ---- commands ----


def check(options):
    """Makes the figures of every case again and says which are others."""
    failed = made = 0
    for path in sorted((FIXTURES / "cases").glob("*.json")):
        if options.only not in path.stem:
            continue
        case = json.loads(path.read_text())
        wrong = list(differences(case, finished(case)))
        made += 1
        failed += bool(wrong)
        print(f"{'FAILED' if wrong else 'ok'}  {path.stem}", *(f"\n        {name}: {off}" for name, off in wrong), sep="")
    print(f"{made} made again, {failed} of them are others")
    return 1 if failed or not made else 0


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def case(options):
    """Writes a new case, and its row of layers.json."""
    g = torch.Generator().manual_seed(options.seed)
    kind, inputs, outputs = options.layer, options.inputs, options.outputs
    given = {"target_modules": ["lin"], **json.loads(options.config)}
    config = config_of(options.method, given)
    is_ids = kind == "embedding"
    x = torch.randint(inputs, (2, 4), generator=g) if is_ids else drawn(g, 3, inputs)
    weight = drawn(g, *((outputs, inputs) if kind == "linear" else (inputs, outputs))) / inputs**0.5
    new = {
        "name": options.name,
        "method": options.method,
        "config": jsonable(config.to_dict()),
        "layer": {"type": kind, "module": "lin"},
        "in_features": inputs,
        "out_features": outputs,
        "base_weight": printed(weight.float()),
        "bias": None if options.no_bias or is_ids else printed(drawn(g, outputs).float()),
        "x": printed(x if is_ids else x.float()),
        "g": printed(drawn(g, *x.shape, outputs).float() if is_ids else drawn(g, 3, outputs).float()),
        "adapter": None,
    }
    model = adapted(new, torch.float32)
    start = get_peft_model_state_dict(model)
    trained = {file_name(name, start) for name, p in model.named_parameters() if p.requires_grad}
    # An adapter as it starts hides transposes and signs.
    moved = {n: v + 0.3 * drawn(g, *v.shape).float() if n in trained else v for n, v in start.items()}
    new["adapter"] = printed(moved)
    done = finished(new)
    write(f"cases/{options.name}.json", done)
    layers = read("layers.json")
    row = {
        **{"name": options.name, "method": options.method, "config": json.loads(options.config)},
        **{"layer": new["layer"], "in": inputs, "out": outputs, "effective": {}},
        "shapes": {name: entry["shape"] for name, entry in done["adapter"].items() if name.startswith(PREFIX)},
        "indices": done.get("indices"),
    }
    layers["rows"] = [r for r in layers["rows"] if r["name"] != options.name] + [row]
    write("layers.json", layers)
    return 0


def jsonable(value):
    """Sets of names as lists, enums as their text."""
    return json.loads(json.dumps(value, default=lambda v: sorted(v) if isinstance(v, (set, frozenset)) else str(v)))


def defaults(options):
    """Writes the fields and defaults of a method's configuration class."""
    table = read("config_defaults.json")
    config = config_of(options.method, json.loads(options.config))
    table["defaults"][options.method] = jsonable(config.to_dict())
    write("config_defaults.json", table)
    return 0


def behaviour(options):
    """Writes what PEFT says of a configuration on a layer: its refusal, or shapes and warnings."""
    given = json.loads(options.config)
    row = {
        **{"method": options.method, "config": given, "in": options.inputs, "out": options.outputs},
        **{"layer": options.layer, "cuda_ext_available": True, "stage": "config"},
    }
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            config = config_of(options.method, {"target_modules": ["lin"], **given})
            row["stage"] = "inject"
            shape = (options.outputs, options.inputs) if options.layer == "linear" else (options.inputs, options.outputs)
            layer = base_layer(options.layer, options.inputs, options.outputs, None, torch.zeros(shape))
            state = get_peft_model_state_dict(get_peft_model(Toy(layer), config))
            row["stage"] = "ok"
            row["shapes"] = {name: list(value.shape) for name, value in state.items()}
        except Exception as error:  # what PEFT throws is the figure
            row["error"], row["message"] = type(error).__name__, str(error)
    if row["stage"] != "config":
        row["warnings"] = [str(w.message) for w in heard]
    table = read("config_behaviour.json")
    key = [row[k] for k in ("method", "config", "in", "out", "layer")]
    table["rows"] = [r for r in table["rows"] if [r[k] for k in ("method", "config", "in", "out", "layer")] != key] + [row]
    write("config_behaviour.json", table)
    print(json.dumps(row))
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    again = commands.add_parser("check", help=check.__doc__)
    again.add_argument("--only", default="", help="cases whose name has this in it")
    again.set_defaults(run=check)
    for run in (case, behaviour, defaults):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.add_argument("method", help="PEFT's peft_type, e.g. LORA")
        command.add_argument("--config", default="{}", help="PEFT's fields as JSON")
        command.set_defaults(run=run)
        if run is defaults:
            continue
        command.add_argument("--layer", default="linear", choices=["linear", "conv1d", "embedding"])
        command.add_argument("--in", dest="inputs", type=int, default=16)
        command.add_argument("--out", dest="outputs", type=int, default=12)
        if run is case:
            command.add_argument("--name", required=True)
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--no-bias", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    use_block_diagonal()
    options = arguments()
    sys.exit(options.run(options))
