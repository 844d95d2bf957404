/**
 * `papilio combine --adapter A --adapter B --weights 0.7,0.3 --type ties --density 0.5 --out DIR`: several adapters of one method into a new one, as
 * PEFT's add_weighted_adapter does. An --out that ends in .zip is a zip.
 */
import { combineAdapters, DEFAULT_NAME, folderOf, zipOf } from '../adapters.ts';
import { fail } from '../common.ts';
import { COMBINATIONS } from '../methods.ts';
import { readOneAdapter } from './adapterFiles.ts';
import { command, type OptionTable, overwriteOption, type Values } from './options.ts';
import { RUN_FILES, withOut } from './outFolder.ts';
import { writeBytes, writeInto } from './runtime.ts';
import { note, print } from './terminal.ts';

const options = {
  adapter: {
    type: 'string',
    required: true,
    multiple: true,
    value: 'DIR',
    about: "an adapter's folder or zip; DIR#NAME picks one of several in it",
  },
  weights: {
    type: 'string',
    value: 'A,B',
    about: 'one number for each adapter, with commas between them',
    otherwise: '1 for each',
  },
  type: {
    type: 'string',
    choices: COMBINATIONS,
    default: 'linear',
    about: 'how they are combined, as in PEFT',
  },
  density: { type: 'number', about: 'the share of values that ties, dare and magnitude_prune keep' },
  'majority-sign-method': {
    type: 'string',
    choices: ['total', 'frequency'],
    default: 'total',
    about: 'how ties settles a sign',
  },
  seed: { type: 'number', default: 0, about: 'starts the draws of dare' },
  out: {
    type: 'string',
    required: true,
    value: 'DIR',
    about: 'where the new adapter goes; a name that ends in .zip is a zip',
  },
  overwrite: overwriteOption,
  json: { type: 'boolean', about: 'one line of figures instead of words' },
} as const satisfies OptionTable;

export const combineCommand = command(
  {
    name: 'combine',
    about: "Makes one adapter of several of one method, as PEFT's add_weighted_adapter does.",
    options,
  },
  combine,
);

type CombineValues = Values<typeof options>;

function combine(values: CombineValues): Promise<number> {
  const { out: path, overwrite } = values;
  const isFile = path.endsWith('.zip');
  return withOut([{ path, overwrite, isFile, holds: isFile ? [] : RUN_FILES }], () => combineInto(values));
}

async function combineInto(values: CombineValues): Promise<number> {
  const { adapter: words, out, type, density, seed } = values;
  const adapters = [];
  for (const word of words) adapters.push(await readOneAdapter(word));
  const { adapter, warnings } = combineAdapters(adapters, {
    weights: values.weights === undefined ? words.map(() => 1) : values.weights.split(',').map(weight),
    type,
    ...(density !== undefined && { density }),
    majoritySign: values['majority-sign-method'],
    seed,
  });
  const files = folderOf(new Map([[DEFAULT_NAME, adapter]]));
  if (out.endsWith('.zip')) await writeBytes(out, zipOf(files));
  else for (const [path, bytes] of files) await writeInto(out, path, bytes);
  for (const warning of [...adapters.flatMap((a) => a.warnings), ...warnings]) note(`${warning}\n`);
  const modules = adapter.tensors.size;
  print(
    values.json
      ? `${JSON.stringify({ method: adapter.method.id, type, modules, out })}\n`
      : `${words.length} ${adapter.method.title} adapters combined on ${modules} modules; written to ${out}\n`,
  );
  return 0;
}

function weight(text: string): number {
  const value = Number(text);
  return text.trim() !== '' && Number.isFinite(value)
    ? value
    : fail('bad-argument', `--weights takes numbers with commas between them, not "${text}".`);
}
