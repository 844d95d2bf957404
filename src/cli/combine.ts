/**
 * `papilio combine --adapter A --adapter B --weights 0.7,0.3 --type ties --density 0.5 --out DIR`: several adapters of one method into a new one, as
 * PEFT's add_weighted_adapter does. An --out that ends in .zip is a zip.
 */
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { combineAdapters } from '../adapters/combine.ts';
import { COMBINATIONS, type Combination } from '../adapters/combineTensors.ts';
import { DEFAULT_NAME, folderOf, zipOf } from '../adapters/folder.ts';
import { fail } from '../lib/errors.ts';
import { readOneAdapter } from './adapterFiles.ts';
import { writeBytes } from './runtime.ts';

export async function combineCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      adapter: { type: 'string', multiple: true, default: [] },
      weights: { type: 'string' },
      type: { type: 'string', default: 'linear' },
      density: { type: 'string' },
      'majority-sign-method': { type: 'string', default: 'total' },
      seed: { type: 'string', default: '0' },
      out: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const { adapter: words, out } = values;
  if (words.length === 0 || out === undefined) {
    fail('bad-argument', 'combine needs --adapter DIR, once for each adapter, and --out DIR.');
  }
  const adapters = [];
  for (const word of words) adapters.push(await readOneAdapter(word));
  const { adapter, warnings } = combineAdapters(adapters, {
    weights:
      values.weights === undefined
        ? words.map(() => 1)
        : values.weights.split(',').map((w) => number('weights', w)),
    type: oneOf('type', values.type, COMBINATIONS) satisfies Combination,
    ...(values.density !== undefined && { density: number('density', values.density) }),
    majoritySign: oneOf('majority-sign-method', values['majority-sign-method'], [
      'total',
      'frequency',
    ] as const),
    seed: number('seed', values.seed),
  });
  const files = folderOf(new Map([[DEFAULT_NAME, adapter]]));
  if (out.endsWith('.zip')) await writeBytes(out, zipOf(files));
  else for (const [path, bytes] of files) await writeBytes(join(out, path), bytes);
  for (const warning of [...adapters.flatMap((a) => a.warnings), ...warnings])
    process.stderr.write(`${warning}\n`);
  const modules = adapter.tensors.size;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ method: adapter.method.id, type: values.type, modules, out })}\n`
      : `${words.length} ${adapter.method.title} adapters combined on ${modules} modules; written to ${out}\n`,
  );
  return 0;
}

function number(option: string, text: string): number {
  const value = Number(text);
  return text.trim() !== '' && Number.isFinite(value)
    ? value
    : fail('bad-argument', `--${option} must be a number, not "${text}".`);
}

function oneOf<const T extends string>(option: string, text: string, choices: readonly T[]): T {
  return (
    choices.find((choice) => choice === text) ??
    fail('bad-argument', `--${option} must be one of ${choices.join(', ')}, not "${text}".`)
  );
}
