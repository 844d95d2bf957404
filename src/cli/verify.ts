/** `papilio verify peft|onnx DIR [--json]`: holds the engine against figures that others computed. */
import { parseArgs } from 'node:util';
import { fail } from '../lib/errors.ts';

const suites: Readonly<Record<string, () => Promise<(folder: string, json: boolean) => Promise<number>>>> = {
  peft: () => import('./verifyPeft.ts').then((m) => m.verifyPeft),
  onnx: () => import('./verifyOnnx.ts').then((m) => m.verifyOnnx),
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
      'verify needs what to verify and a folder: papilio verify peft DIR, or papilio verify onnx DIR.',
    );
  }
  return (await suite())(folder, values.json);
}
