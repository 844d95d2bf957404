/**
 * A run as a small Python project: scripts with transformers, peft and accelerate that start from what was trained, with
 * its data, settings and base model. The scripts are the files of `project/`, the same for every run; settings.py makes the difference.
 */
import { validateConfig } from '../adapters/config.ts';
import { savedEntries } from '../adapters/matching.ts';
import { readSafetensors, tensorFloats, writeSafetensors } from '../adapters/safetensors.ts';
import { fail } from '../lib/errors.ts';
import { baseOf, isHubName, withoutPrivate } from './base.ts';
import { limits, readmeFile, requirementsFile } from './readme.ts';
import { datasetRows } from './rows.ts';
import { isPeft, settingsFile } from './settings.ts';
import type { ProjectFile, PythonProject, PythonRun } from './types.ts';

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
    fail('not-found', 'There is no adapter_config.json to go on from.');
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
    fail('not-found', 'There is no adapter_model.safetensors to go on from.');
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
  const warnings = limits(run, base, {
    rounding: Math.max(train.rounding, held.rounding),
    randomHead: randomHead(run, entries, names),
  });
  const labels = 'labels' in dataset ? dataset.labels : [];
  const trained: ProjectFile[] = isPeft(run)
    ? [
        { name: 'adapter/adapter_config.json', bytes: encode(`${JSON.stringify(config, null, 2)}\n`) },
        { name: 'adapter/adapter_model.safetensors', bytes: weights.bytes },
      ]
    : [{ name: 'trained.safetensors', bytes: trainedWeights(weights.bytes) }];
  return {
    files: [
      { name: 'README.md', bytes: encode(readmeFile(run, base, warnings)) },
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
    warnings,
  };
}
