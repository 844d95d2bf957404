/** `papilio verify peft|onnx|memory DIR [--json]`: holds the engine against figures that others computed, and its memory against bounds. */
import { parseArgs } from 'node:util';
import { fail } from '../lib/errors.ts';

const suites: Readonly<Record<string, () => Promise<(folder: string, json: boolean) => Promise<number>>>> = {
  peft: () => import('./verifyPeft.ts').then((m) => m.verifyPeft),
  onnx: () => import('./verifyOnnx.ts').then((m) => m.verifyOnnx),
  memory: () => import('./verifyMemory.ts').then((m) => m.verifyMemory),
};

export async function verifyCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { json: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
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
