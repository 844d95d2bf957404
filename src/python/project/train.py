"""Goes on with a run of Papilio on as many machines as there are: `accelerate launch train.py`. See README.md."""

import argparse
import contextlib
import csv
import math
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from torch.nn import functional
from torch.utils.data import DataLoader

import model as models
import settings
from data import IGNORED, Rows, collate


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default=settings.BASE, help="folder or Hub name of the base model")
    parser.add_argument("--out", default="out", type=Path, help="where the trained adapter goes")
    parser.add_argument("--steps", type=int, help="updates, instead of the run's own number")
    parser.add_argument("--batch-size", type=int, default=settings.BATCH_SIZE, help="examples per forward pass, all machines together")
    parser.add_argument("--learning-rate", type=float, default=settings.LEARNING_RATE)
    chosen = parser.parse_args()
    if chosen.base is None:
        parser.error("this model has no name on the Hub; give the one it was exported from with --base")
    return chosen


def learning_rate_at(step, total, peak):
    """Rate of the 0-based update `step`: a linear rise over WARMUP_STEPS, at most a fifth of the run, that starts above 0, then the schedule down to 0."""
    warmup = min(settings.WARMUP_STEPS, total // 5)
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if settings.SCHEDULE == "constant":
        return peak
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    if settings.SCHEDULE == "linear":
        return peak * (1 - progress)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def make_optimizer(parameters, rate):
    if settings.OPTIMIZER == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=settings.MOMENTUM, weight_decay=settings.WEIGHT_DECAY)
    return torch.optim.AdamW(
        parameters,
        lr=rate,
        betas=(settings.BETA1, settings.BETA2),
        eps=settings.EPSILON,
        weight_decay=settings.WEIGHT_DECAY,
    )


def aligned(logits, labels):
    """Logits and the labels they are held against: those of the next token for a causal model."""
    logits = logits.float()
    if settings.TASK == "causal-lm":
        return logits[:, :-1], labels[:, 1:]
    return logits, labels


def row_losses(logits, labels):
    """Loss summed over what counts, and how much counts, for each example."""
    if settings.TASK == "regression":
        return (logits.float().reshape(-1) - labels) ** 2, torch.ones_like(labels)
    logits, labels = aligned(logits, labels)
    each = functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=IGNORED, reduction="none"
    )
    rows = len(labels)
    return each.reshape(rows, -1).sum(1), (labels.reshape(rows, -1) != IGNORED).sum(1)


def row_hits(logits, labels):
    """Labels that the largest logit names, for each example."""
    if settings.TASK == "regression":
        return torch.zeros_like(labels)
    logits, labels = aligned(logits, labels)
    return (logits.argmax(-1) == labels).reshape(len(labels), -1).sum(1)


def counting(batch):
    labels = batch["labels"]
    if settings.TASK == "regression":
        return labels.numel()
    return int(((labels[:, 1:] if settings.TASK == "causal-lm" else labels) != IGNORED).sum())


@torch.no_grad()
def evaluate(accelerator, model, loader):
    """{loss, value} on the held-out examples; the value is the accuracy, the root of the mean squared error, or exp(loss)."""
    model.eval()
    loss, count, hits = 0.0, 0, 0
    for batch in loader:
        logits = model(**batch["inputs"]).logits
        sums = (*row_losses(logits, batch["labels"]), row_hits(logits, batch["labels"]))
        row_loss, row_count, row_hit = accelerator.gather_for_metrics(sums)
        loss += row_loss.double().sum().item()
        count += int(row_count.sum())
        hits += int(row_hit.sum())
    mean = loss / max(1, count)
    if settings.METRIC == "accuracy":
        return {"loss": mean, "value": hits / max(1, count)}
    return {"loss": mean, "value": math.sqrt(mean) if settings.METRIC == "rmse" else math.exp(min(mean, 700))}


def endless(loader):
    while True:
        yield from loader


def main():
    chosen = arguments()
    accelerator = Accelerator(dataloader_config=DataLoaderConfiguration(split_batches=True))
    if chosen.batch_size % accelerator.num_processes:
        raise SystemExit(
            f"A batch of {chosen.batch_size} cannot be shared by {accelerator.num_processes} processes;"
            " give a multiple of them with --batch-size."
        )
    set_seed(settings.SEED)
    model = models.load(chosen.base)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    accelerator.print(f"{sum(p.numel() for p in trained)} trainable numbers ({settings.TRAINABLE} in the run)")

    rows = Rows("train")
    order = torch.Generator().manual_seed(settings.SEED)
    train = DataLoader(rows, chosen.batch_size, shuffle=True, generator=order, collate_fn=collate)
    held = DataLoader(Rows("held", settings.EVAL_EXAMPLES), chosen.batch_size, collate_fn=collate)
    optimizer = make_optimizer(trained, chosen.learning_rate)
    total = settings.STEPS
    if settings.EPOCHS > 0:
        total = math.ceil(settings.EPOCHS * math.ceil(len(rows) / chosen.batch_size) / settings.GRADIENT_ACCUMULATION)
    total = chosen.steps or total
    model, optimizer, train, held = accelerator.prepare(model, optimizer, train, held)

    curve = []

    def report(step):
        found = evaluate(accelerator, model, held)
        accelerator.print(f"step {step}: held-out {settings.METRIC} {found['value']:.4f}, loss {found['loss']:.4f}")
        curve.append({"step": step, "eval_loss": found["loss"], f"eval_{settings.METRIC}": found["value"]})

    if settings.RECORDED is not None:
        accelerator.print(
            f"in the run: held-out {settings.METRIC} {settings.RECORDED['value']:.4f},"
            f" loss {settings.RECORDED['loss']:.4f}"
        )
    report(0)
    batches = endless(train)
    for step in range(total):
        rate = learning_rate_at(step, total, chosen.learning_rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        models.train_mode(model)
        micro = [next(batches) for _ in range(settings.GRADIENT_ACCUMULATION)]
        # One mean over all labels of the update, whatever batch or machine they are in.
        here = torch.tensor(sum(counting(batch) for batch in micro), device=accelerator.device)
        valid = max(1, int(accelerator.reduce(here, "sum")))
        shown = torch.zeros((), device=accelerator.device)
        for number, batch in enumerate(micro):
            is_last = number == len(micro) - 1
            with contextlib.nullcontext() if is_last else accelerator.no_sync(model):
                losses, _ = row_losses(model(**batch["inputs"]).logits, batch["labels"])
                loss = losses.sum() / valid
                shown += loss.detach()
                # Gradients are averaged over the processes, and the sum is wanted.
                whole = loss * accelerator.num_processes
                if is_last:
                    whole = whole + models.penalty(accelerator.unwrap_model(model))
                accelerator.backward(whole)
        norm = None
        if settings.MAX_GRAD_NORM > 0:
            norm = float(accelerator.clip_grad_norm_(trained, settings.MAX_GRAD_NORM))
        optimizer.step()
        models.after_step(accelerator.unwrap_model(model), step)
        optimizer.zero_grad()
        loss = float(accelerator.reduce(shown, "sum"))
        curve.append({"step": step + 1, "loss": loss, "learning_rate": rate, "grad_norm": norm})
        if not math.isfinite(loss):
            raise SystemExit(f"The loss became infinite or not a number at step {step + 1}; lower --learning-rate.")
        if (step + 1) % 10 == 0:
            accelerator.print(f"step {step + 1} of {total}: loss {loss:.4f}")
        is_due = settings.EVAL_EVERY > 0 and (step + 1) % settings.EVAL_EVERY == 0
        if is_due or step + 1 == total:
            report(step + 1)

    accelerator.wait_for_everyone()
    state = accelerator.get_state_dict(model)
    if accelerator.is_main_process:
        chosen.out.mkdir(parents=True, exist_ok=True)
        models.save(accelerator.unwrap_model(model), chosen.out, state)
        with open(chosen.out / "metrics.csv", "w", newline="", encoding="utf-8") as file:
            fields = ["step", "loss", "learning_rate", "grad_norm", "eval_loss", f"eval_{settings.METRIC}"]
            writer = csv.DictWriter(file, dict.fromkeys(fields))
            writer.writeheader()
            writer.writerows(curve)
    accelerator.print(f"written to {chosen.out}")
    accelerator.end_training()


if __name__ == "__main__":
    main()
