/** `papilio verify peft|onnx|memory DIR [--json]`: holds the engine against figures that others computed, and its memory against bounds. */
import { fail } from '../lib/errors.ts';
import { command, type OptionTable, type Values } from './options.ts';

const suites: Readonly<Record<string, () => Promise<(folder: string, json: boolean) => Promise<number>>>> = {
  peft: () => import('./verifyPeft.ts').then((m) => m.verifyPeft),
  onnx: () => import('./verifyOnnx.ts').then((m) => m.verifyOnnx),
  memory: () => import('./verifyMemory.ts').then((m) => m.verifyMemory),
};

const options = {
  json: { type: 'boolean', about: 'one line of figures instead of words' },
} as const satisfies OptionTable;

export const verifyCommand = command(
  {
    name: 'verify',
    about:
      'Holds adapters (peft), or models and their gradients (onnx), against figures that others computed; memory writes a model of the size of GPT-2 into the folder and measures a step and a merge.',
    positionals: 'peft|onnx|memory DIR',
    options,
  },
  verify,
);

async function verify(values: Values<typeof options>, positionals: readonly string[]): Promise<number> {
  const [what, folder] = positionals;
  const suite = what !== undefined && Object.hasOwn(suites, what) ? suites[what] : undefined;
  if (!suite || folder === undefined) {
    fail(
      'bad-argument',
      'verify needs what to verify and a folder: papilio verify peft DIR, papilio verify onnx DIR, or papilio verify memory DIR (which writes a large model there).',
    );
  }
  return (await suite())(folder, values.json);
}
