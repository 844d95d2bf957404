/**
 * A run as a small Python project: scripts with transformers, peft and accelerate that start from what was trained, with
 * its data, settings and base model. The scripts are the files of `project/`, the same for every run; settings.py makes the difference.
 */

import { validateConfig } from '../adapters/config.ts';
import { savedEntries } from '../adapters/matching.ts';
import { readSafetensors, tensorFloats, writeSafetensors } from '../adapters/safetensors.ts';
import type { InputFile } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { inEnglish, say } from '../lib/say.ts';
import { type Base, baseOf, isHubName, type PythonProject, type PythonRun, withoutPrivate } from './base.ts';
import { plain, readmeFile } from './readme.ts';
import { datasetRows } from './rows.ts';
import { isPeft, pythonTask, settingsFile } from './settings.ts';

const scripts: Record<string, string> = import.meta.glob('./project/*.py', {
  query: '?raw',
  import: 'default',
  eager: true,
});

const PREFIX = 'base_model.model.';
const encode = (text: string) => new TextEncoder().encode(text);

/** adapter_config.json, which names the base only as the Hub does. */
function adapterConfig(run: PythonRun): Record<string, unknown> {
  const file =
    run.adapter.find((f) => f.name === 'adapter_config.json') ??
    fail('not-found', say`There is no adapter_config.json to go on from.`);
  const json = JSON.parse(new TextDecoder().decode(file.bytes)) as Record<string, unknown>;
  const name = json.base_model_name_or_path;
  return {
    ...withoutPrivate(json),
    base_model_name_or_path: isHubName(name) ? name : null,
  };
}

/** The weights of methods that PEFT does not know, by PyTorch name. */
function trainedWeights(safetensors: Uint8Array): Uint8Array {
  const { tensors } = readSafetensors(safetensors);
  return writeSafetensors(
    new Map(
      [...tensors].map(([name, tensor]) => [
        name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name,
        { shape: tensor.shape, data: tensorFloats(name, tensor) },
      ]),
    ),
  );
}

/** Of the modules that started at random, the first that nothing trains. */
function randomHead({ model }: PythonRun, saved: readonly string[], names: readonly string[]): string | null {
  const isStored = (module: string) => names.some((name) => name.startsWith(`${PREFIX}${module}.`));
  return model.fresh.find((m) => !isStored(m) && !saved.some((entry) => m.endsWith(entry))) ?? null;
}

/** @throws PapilioError 'not-found' without the adapter's files */
export function pythonProject(run: PythonRun): PythonProject {
  const { dataset, batchOptions, model } = run;
  const config = adapterConfig(run);
  const weights =
    run.adapter.find((f) => f.name === 'adapter_model.safetensors') ??
    fail('not-found', say`There is no adapter_model.safetensors to go on from.`);
  const names = [...readSafetensors(weights.bytes).tensors.keys()];
  const base = baseOf(model, config.base_model_name_or_path, run.sidecars);
  const entries = savedEntries(validateConfig(run.method, config).config);
  // Names, not entries: what the file holds of them stands in for what a base may lack.
  const saved = model.modules
    .map((m) => m.name)
    .filter(
      (name) =>
        entries.some((entry) => name.endsWith(entry)) && names.some((n) => n.startsWith(`${PREFIX}${name}.`)),
    );
  const train = datasetRows(dataset, 'train', batchOptions, run.decode);
  const held = datasetRows(dataset, 'held', batchOptions, run.decode);
  const facts = {
    rounding: Math.max(train.rounding, held.rounding),
    randomHead: randomHead(run, entries, names),
  };
  const labels = 'labels' in dataset ? dataset.labels : [];
  const trained: InputFile[] = isPeft(run)
    ? [
        { name: 'adapter/adapter_config.json', bytes: encode(`${JSON.stringify(config, null, 2)}\n`) },
        { name: 'adapter/adapter_model.safetensors', bytes: weights.bytes },
      ]
    : [{ name: 'trained.safetensors', bytes: trainedWeights(weights.bytes) }];
  return {
    files: [
      { name: 'README.md', bytes: encode(inEnglish(() => readmeFile(run, base, limits(run, base, facts)))) },
      { name: 'requirements.txt', bytes: encode(requirementsFile()) },
      { name: 'settings.py', bytes: encode(settingsFile(run, base, saved)) },
      ...Object.entries(scripts).map(([path, text]) => ({
        name: path.slice(path.lastIndexOf('/') + 1),
        bytes: encode(text),
      })),
      ...trained,
      ...(base.kind === 'folder' ? base.files : []),
      { name: 'data/train.jsonl', bytes: train.bytes },
      { name: 'data/held.jsonl', bytes: held.bytes },
      { name: 'labels.json', bytes: encode(`${JSON.stringify(labels, null, 2)}\n`) },
    ],
    warnings: limits(run, base, facts),
  };
}

// What it needs, and what cannot carry over.

/**
 * The versions that the scripts were run with. Adapters keep PEFT's format of 0.18 and later; transformers 5 has renamed modules of
 * several families (DINOv2's query is q_proj there), so that adapters and ONNX files from before no longer match.
 */
const REQUIREMENTS: Readonly<Record<string, string>> = {
  accelerate: '1.15.0',
  numpy: '2.4.6',
  peft: '0.21.0',
  pillow: '12.3.0',
  safetensors: '0.8.0',
  torch: '2.13.0',
  transformers: '4.57.6',
};

const requirementsFile = () =>
  Object.entries(REQUIREMENTS)
    .map(([name, version]) => `${name}==${version}\n`)
    .join('');

/** Sentences on what is different from the run. */
function limits(
  run: PythonRun,
  base: Base,
  facts: { readonly rounding: number; readonly randomHead: string | null },
): string[] {
  const { method, settings, dataset } = run;
  const config = JSON.parse(
    new TextDecoder().decode(run.adapter.find((f) => f.name === 'adapter_config.json')!.bytes),
  ) as Record<string, unknown>;
  const found = [
    say`The curve goes on but not bit for bit: the order of examples, dropout and the rounding of sums come from PyTorch and from the number of machines.`,
    say`The optimiser starts with empty moments and the schedule starts anew: ${String(settings.warmupSteps)} warm-up steps, then the same ${String(settings.schedule)} over another run of the same length.`,
    say`Weights and sums are float32 as in the run; another precision is the choice of \`accelerate launch --mixed_precision\`.`,
    say`requirements.txt names transformers 4, because version 5 has renamed modules that adapters and ONNX files know by their names of before.`,
    say`Dropout inside the base model stays off, since the ONNX graph has none; only the adapter's own dropout acts.`,
  ];
  if (base.kind === 'folder')
    found.push(
      say`The base model ${plain(run.modelName)} has no name on the Hub; its weights were taken from the ONNX file into base/ by their PyTorch names. To use the original instead, name it with --base.`,
    );
  if (base.kind === 'named')
    found.push(
      say`The base model is taken from the Hub as ${base.name}. If the ONNX file was edited, merged or quantised, the two differ.`,
    );
  if (base.kind === 'none')
    found.push(
      say`The base model ${plain(run.modelName)} cannot be written for transformers, because ${base.reason()}; name the model that it was exported from with --base.`,
    );
  if (facts.randomHead !== null)
    found.push(
      base.kind === 'folder'
        ? say`The classifier ${facts.randomHead} is new, random and untrained in this run; base/ holds it as it was.`
        : say`The classifier ${facts.randomHead} is new and random but is not among modules_to_save, so it is not in the adapter and starts with other random numbers here.`,
    );
  if (run.model.ownHead !== null)
    found.push(
      say`transformers has no class with this run's head (${run.model.ownHead}): the class that model.py loads pools the hidden states in its own way, so its answers differ until it is changed to pool the same.`,
    );
  if (!isPeft(run))
    found.push(
      say`The method "${method.id}" is none of PEFT's: trained.safetensors holds whole weights, which train.py puts into the base model, and adapter/ does not exist.`,
    );
  if (method.id === 'boft' && Number(config.boft_n_butterfly_factor) > 1)
    found.push(
      say`The adapter has ${String(config.boft_n_butterfly_factor)} butterfly factors. PEFT builds more than one only with a CUDA extension that most installations cannot compile; model.py supplies the missing function in plain PyTorch. Without it, PeftModel.from_pretrained stops with a size mismatch.`,
    );
  if (method.id === 'adalora')
    found.push(say`The budget schedule of AdaLoRA (tinit, tfinal, total_step) starts anew with this run.`);
  if (facts.rounding > 0.001 / 255)
    found.push(
      say`Pictures are kept in 8 bits; the run had them finer, so a sample differs by at most ${Number(facts.rounding.toPrecision(2))} of the full range.`,
    );
  if (dataset.kind !== 'image')
    found.push(
      say`Texts are kept as the ids that the run saw, with its windows and truncation; \`text\` is there to be read and is not used. Without \`input_ids\` a row cannot be trained on.`,
    );
  if (pythonTask(run) === 'masked-lm')
    found.push(say`Which tokens are masked is fixed in data/: the same at every pass.`);
  return found;
}
