/** `papilio verify peft|onnx|families|memory|threads DIR`: holds the engine against figures that others computed, against onnxruntime, and against bounds. */

import { command, type OptionTable, type Values } from '../../src/cli/options.ts';
import { fail } from '../../src/lib/errors.ts';

const suites: Readonly<Record<string, () => Promise<(folder: string, json: boolean) => Promise<number>>>> = {
  peft: () => import('./peft/peft.ts').then((m) => m.verifyPeft),
  onnx: () => import('./onnx.ts').then((m) => m.verifyOnnx),
  memory: () => import('./memory.ts').then((m) => m.verifyMemory),
  threads: () => import('./threads.ts').then((m) => m.verifyThreads),
};
/** The one that has a folder of its own. */
const FAMILIES = 'families';

const options = {
  json: { type: 'boolean', about: 'one line of figures instead of words' },
  only: {
    type: 'string',
    multiple: true,
    value: 'WORD',
    about: 'of families: combinations with this model, method or target; each option narrows further',
  },
  train: {
    type: 'boolean',
    about:
      'of families: fine-tunes the trained models on other data with boft, oft, fourierft and lora at their defaults, three seeds each; the held-out loss has to fall by 5 %',
  },
  steps: { type: 'number', default: 200, about: 'of families --train: updates of each run' },
  pairs: { type: 'boolean', about: 'of families: only as many combinations as cover every pair' },
  share: { type: 'string', value: 'K/N', about: 'of families: the K-th of N equal parts' },
  engine: {
    type: 'string',
    choices: ['interpreter', 'onnxruntime', 'webgpu'],
    default: 'interpreter',
    about: 'of families: what trains, in float64 on the CPU or as in finetune',
  },
} as const satisfies OptionTable;

export const verifyCommand = command(
  {
    name: 'verify',
    about:
      'Holds adapters (peft), or models and their gradients (onnx), against figures that others computed; families trains, merges, saves and loads every combination of model, method and target in a folder of small models (by default those of this repository) and compares with onnxruntime; memory writes a model of the size of GPT-2 into the folder and measures a step and a merge; threads trains with one thread and with two of the onnxruntime-node that the folder has, which has to come to the same bits.',
    positionals: 'peft|onnx|families|memory|threads DIR',
    options,
  },
  verify,
);

async function verify(values: Values<typeof options>, positionals: readonly string[]): Promise<number> {
  const [what, folder] = positionals;
  if (what === FAMILIES && values.train)
    return (await import('./families/train.ts')).trainFamilies(folder, values);
  if (what === FAMILIES) return (await import('./families/matrix.ts')).verifyFamilies(folder, values);
  const suite = what !== undefined && Object.hasOwn(suites, what) ? suites[what] : undefined;
  if (!suite || folder === undefined) {
    fail(
      'bad-argument',
      'verify needs what to verify and a folder: papilio verify peft DIR, papilio verify onnx DIR, papilio verify families [DIR], papilio verify memory DIR (which writes a large model there), or papilio verify threads DIR (whose node_modules holds onnxruntime-node).',
    );
  }
  return (await suite())(folder, values.json);
}
