/** run.json, as `papilio python` takes a run up again, beside an adapter, a model and data. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validateConfig } from '../../../src/adapters/config.ts';
import { writeAdapter } from '../../../src/adapters/peft.ts';
import { METHODS } from '../../../src/adapters/registry.ts';
import { pythonCommand } from '../../../src/cli/python.ts';
import { trainingSchema } from '../../../src/training/settings.ts';
import { labelled, textModel, tokenizer } from '../../../test/tools/contractModels.ts';
import { type Door, fuzzFile, type Input, textOf, utf8, withFile } from '../door.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { mutateJson } from '../mutate/json.ts';
import { enlargedJson } from '../mutate/large.ts';
import { mutateSafetensors } from '../mutate/safetensors.ts';

const CONFIG = { target_modules: ['q_proj'], modules_to_save: ['classifier'], r: 2, lora_alpha: 4 };

function seeds(): Input[] {
  const method = METHODS.lora;
  const { config } = validateConfig(method, CONFIG);
  const data = (shape: readonly number[]) => ({
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  const adapter = writeAdapter({
    ...{ method, config },
    tensors: new Map([
      [
        'layer.q_proj',
        new Map([
          ['lora_A.weight', data([2, 12])],
          ['lora_B.weight', data([12, 2])],
        ]),
      ],
    ]),
    parameters: new Map([
      ['classifier.weight', data([2, 12])],
      ['classifier.bias', data([2])],
    ]),
  });
  const run = {
    ...{ model: 'model', data: 'rows.csv', dataOptions: {}, method: 'lora', config: CONFIG, steps: 10 },
    training: trainingSchema.parse({ steps: 10, batchSize: 2 }),
    evaluations: [{ step: 10, metric: 'accuracy', value: 0.5, loss: 0.7, examples: 4 }],
  };
  return [
    {
      files: [
        fuzzFile('run.json', JSON.stringify(run)),
        fuzzFile('adapter_config.json', adapter['adapter_config.json']),
        fuzzFile('adapter_model.safetensors', adapter['adapter_model.safetensors']),
      ],
    },
  ];
}

let place: string | null = null;

/** The model and the data that every trial finds beside it. */
function stage(): string {
  if (place !== null) return place;
  const made = mkdtempSync(join(tmpdir(), 'papilio-fuzz-'));
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  mkdirSync(join(made, 'model'));
  for (const { name, bytes } of [
    textModel({ ends: 'classes', classes: 2 }),
    tokenizer(),
    fuzzFile('config.json', '{"model_type":"bert"}'),
    fuzzFile('chat_template.jinja', '{{ messages }}'),
  ])
    writeFileSync(join(made, 'model', name), bytes);
  const rows = labelled([3, 4, 5, 6, 3, 4, 5, 6]);
  writeFileSync(join(made, rows.name), rows.bytes);
  return (place = made);
}

export const runFile: Door = {
  name: 'run-file',
  about: 'the run.json of a finished run, with its adapter, as "papilio python" opens it',
  seeds,
  weight: 0.6,
  mutate: (input, random) =>
    random.chance(0.75)
      ? {
          files: [
            fuzzFile('run.json', mutateJson(textOf(input.files[0]!.bytes), random)),
            ...input.files.slice(1),
          ],
        }
      : withFile(input, random, (bytes, name) =>
          name.endsWith('.safetensors')
            ? mutateSafetensors(bytes, random)
            : random.chance(0.8)
              ? utf8(mutateJson(textOf(bytes), random))
              : mutateBytes(bytes, random),
        ),
  enlarge: ({ files: [run, ...others] }, random) => ({
    files: [{ ...run!, bytes: enlargedJson(run!.bytes, random) }, ...others],
  }),
  async open({ files }) {
    const root = stage();
    const run = join(root, 'run');
    const out = join(root, 'out');
    for (const folder of [run, out]) rmSync(folder, { recursive: true, force: true });
    mkdirSync(run);
    for (const { name, bytes } of files) writeFileSync(join(run, name), bytes);
    await pythonCommand([
      '--run',
      run,
      '--out',
      out,
      '--model',
      join(root, 'model'),
      '--data',
      join(root, 'rows.csv'),
    ]);
  },
};
