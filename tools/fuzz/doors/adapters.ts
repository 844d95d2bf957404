/** Adapters: the container of tensors, folders and zips of PEFT's files, held against a model and written out again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fitAdapter } from '../../../src/adapters/fit.ts';
import { filesFromZip, folderOf, readFolder } from '../../../src/adapters/folder.ts';
import type { LoadedAdapter } from '../../../src/adapters/peft.ts';
import { chooseAdapter, loadMethod } from '../../../src/adapters/plan.ts';
import { readSafetensors, tensorFloats, writeSafetensors } from '../../../src/adapters/safetensors.ts';
import type { Layer } from '../../../src/adapters/types.ts';
import type { InputFile } from '../../../src/lib/bytes.ts';
import { type Rng, rng } from '../../../src/lib/rng.ts';
import { type Door, fuzzFile, type Input, textOf, utf8, withFile } from '../door.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { mutateJson, ODD_NAMES } from '../mutate/json.ts';
import { enlargedJson } from '../mutate/large.ts';
import { enlargeSafetensors, mutateSafetensors } from '../mutate/safetensors.ts';
import { mutateZip } from '../mutate/zip.ts';
import { FIXTURES } from '../place.ts';

const CONFIG = 'adapter_config.json';
const TENSORS = 'adapter_model.safetensors';

const METHODS = [
  ...['boft_bias_only', 'boft_f2', 'fourierft', 'ia3', 'loha', 'lokr', 'lora', 'lora_dora', 'oft_bias_all'],
  ...['oft_modules_to_save'],
];

const floats = (count: number, seed: number) => {
  const random = rng(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};

const containers = (): Input[] => {
  const tensors = new Map([
    ['a.weight', { shape: [3, 4], data: floats(12, 1) }],
    ['b', { shape: [], data: floats(1, 2) }],
    ['c.d.e', { shape: [0, 5], data: new Float32Array(0) }],
    ['f', { shape: [2, 2, 2], data: floats(8, 3) }],
  ]);
  const narrow = new Map(
    [...tensors].map(([name, tensor], i) => [
      name,
      { ...tensor, dtype: (['F16', 'BF16', 'F64', 'F32'] as const)[i % 4]! },
    ]),
  );
  return [
    writeSafetensors(tensors),
    writeSafetensors(narrow as typeof tensors, { format: 'pt', x: '{"y":1}' }),
  ].map((bytes) => ({ files: [fuzzFile('x.safetensors', bytes)] }));
};

export const safetensors: Door = {
  name: 'safetensors',
  about: 'a safetensors container: header and data',
  seeds: containers,
  weight: 2,
  mutate: (input, random) => withFile(input, random, (bytes) => mutateSafetensors(bytes, random)),
  enlarge: (input, random) => withFile(input, random, (bytes) => enlargeSafetensors(bytes, random)),
  open({ files }) {
    const { tensors, metadata } = readSafetensors(files[0]!.bytes);
    const read = new Map(
      [...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: tensorFloats(name, tensor) }]),
    );
    readSafetensors(writeSafetensors(read, Object.fromEntries(metadata)));
  },
};

const fixture = (method: string, name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(FIXTURES, 'peft', method, name)));

function folders(): Input[] {
  const one = (method: string, at = ''): InputFile[] =>
    [CONFIG, TENSORS].map((name) => fuzzFile(`${at}${name}`, fixture(method, name)));
  return [
    ...METHODS.map((method) => ({ files: one(method) })),
    { files: [...one('lora'), ...one('ia3', 'second/')] },
    { files: [...one('oft_bias_all', 'a/b/'), fuzzFile('a/README.md', 'about')] },
  ];
}

const layer = (name: string, inputs: number, out: number): Layer => ({
  ...{ name, kind: 'linear', in: inputs, out, hasBias: true },
});
const MODEL = { layers: [layer('fc1', 12, 16), layer('fc2', 16, 6)], pretrained: false };
const PARAMETERS = MODEL.layers.flatMap(({ name, in: width, out }) => [
  { name: `${name}.weight`, shape: [out, width], load: () => new Float32Array(out * width) },
  { name: `${name}.bias`, shape: [out], load: () => new Float32Array(out) },
]);

/** As an adapter is given to a model, and out again. */
async function use(adapters: ReadonlyMap<string, LoadedAdapter>): Promise<void> {
  for (const adapter of adapters.values()) {
    const fit = fitAdapter(adapter, MODEL);
    chooseAdapter(
      await loadMethod(adapter.method),
      adapter.config,
      MODEL,
      PARAMETERS,
      adapter.shared,
      fit.brought,
    );
  }
  readFolder(folderOf(adapters));
}

function spoilFile(input: Input, random: Rng): Input {
  return withFile(input, random, (bytes, name) =>
    name.endsWith(CONFIG)
      ? utf8(mutateJson(textOf(bytes), random))
      : name.endsWith(TENSORS)
        ? mutateSafetensors(bytes, random)
        : mutateBytes(bytes, random),
  );
}

function spoilFolder(input: Input, random: Rng): Input {
  if (random.chance(0.93)) return spoilFile(input, random);
  const files = [...input.files];
  const at = random.int(files.length);
  const [file] = files.splice(at, 1);
  const name = random.pick([...ODD_NAMES, CONFIG, TENSORS, 'adapter_model.bin', '../adapter_config.json']);
  if (random.chance(0.7)) files.push({ name, bytes: file!.bytes });
  return { files };
}

const enlarge = (input: Input, random: Rng): Input =>
  withFile(input, random, (bytes, name) =>
    name.endsWith(TENSORS) ? enlargeSafetensors(bytes, random) : enlargedJson(bytes, random),
  );

export const adapterFolder: Door = {
  name: 'adapter-folder',
  about: 'a folder of adapters: adapter_config.json and adapter_model.safetensors',
  seeds: folders,
  weight: 1.5,
  mutate: spoilFolder,
  enlarge,
  open: ({ files }) => use(readFolder(new Map(files.map(({ name, bytes }) => [name, bytes])))),
};

export const adapterZip: Door = {
  name: 'adapter-zip',
  about: 'the same folders in a zip whose directory may lie',
  seeds: () => folders().map(({ files }) => packed(files, rng(0), 0)),
  mutate(input, random) {
    const { files } = random.pick(folderSeeds());
    const spoiled = random.chance(0.4) ? spoilFolder({ files }, random) : { files };
    return random.chance(0.1)
      ? withFile(input, random, (bytes) => mutateBytes(bytes, random))
      : packed(spoiled.files, random, spoiled.files !== files && random.chance(0.6) ? 0 : undefined);
  },
  enlarge: (_, random) => packed(enlarge(random.pick(folderSeeds()), random).files, random, 0),
  open: ({ files }) => use(readFolder(filesFromZip(files[0]!.bytes))),
};

let kept: readonly Input[] | null = null;
const folderSeeds = () => (kept ??= folders());

const packed = (files: readonly InputFile[], random: Rng, lies?: number): Input => ({
  files: [
    fuzzFile(
      'adapter.zip',
      mutateZip(
        files.map(({ name, bytes }) => [name, bytes]),
        random,
        lies,
      ),
    ),
  ],
});
