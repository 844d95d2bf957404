"""A training step of a GPT-2-shaped model in PyTorch + PEFT, each method in turn.

Reads one JSON object from standard input, writes one to standard output: {"result": ...}, or {"missing": "why not"} where torch, transformers, peft
or a GPU is not there. Linear layers stand where transformers has Conv1D, which PEFT's OFT and BOFT refuse; the weights are drawn anew, so that
only sizes and arithmetic are those of the other lanes. fp32 throughout, TF32 off; AdamW with decay, without clipping or schedule.
"""

import json
import sys


def answer(value):
    print(json.dumps(value))
    sys.exit(0)


try:
    import peft
    import torch
    import transformers
except ImportError as error:
    answer({"missing": f"Python has no {error.name}"})

if not torch.cuda.is_available():
    answer({"missing": "PyTorch finds no GPU"})

WARM = 4
asked = json.load(sys.stdin)


def linear_layers(model):
    """Puts nn.Linear in place of Conv1D, which has its weight the other way round."""
    from transformers.pytorch_utils import Conv1D

    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                width, out = child.weight.shape
                linear = torch.nn.Linear(width, out)
                linear.weight.data.copy_(child.weight.data.T)
                linear.bias.data.copy_(child.bias.data)
                setattr(module, name, linear)
    return model


def model_of():
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        n_layer=asked["layers"],
        n_head=asked["heads"],
        n_embd=asked["width"],
        vocab_size=asked["vocabulary"],
        n_positions=1024,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
        use_cache=False,
    )
    return linear_layers(transformers.GPT2LMHeadModel(config))


CONFIGS = {
    "lora": peft.LoraConfig,
    "boft": peft.BOFTConfig,
    "oft": peft.OFTConfig,
    "fourierft": peft.FourierFTConfig,
}


def seconds_per_step(method, config):
    model = peft.get_peft_model(model_of(), CONFIGS[method](**config)).cuda().train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01)
    ids = torch.randint(asked["vocabulary"], (asked["batch"], asked["sequence"]), device="cuda")

    def step():
        optimiser.zero_grad(set_to_none=True)
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()

    for _ in range(WARM):
        step()
    times = []
    for _ in range(asked["steps"]):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return {"secondsPerStep": sorted(times)[len(times) // 2], "trainable": sum(p.numel() for p in trained)}


torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
methods = {}
for method, config in asked["methods"].items():
    methods[method] = seconds_per_step(method, config)
    torch.cuda.empty_cache()
answer(
    {
        "result": {
            "device": torch.cuda.get_device_name(),
            "versions": f"torch {torch.__version__}, peft {peft.__version__}, transformers {transformers.__version__}",
            "methods": methods,
        }
    }
)
