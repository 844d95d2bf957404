/** What a run leaves: checkpoints, as a session takes them up again. */
import { writeSafetensors } from '../../../src/adapters/safetensors.ts';
import type { Rng } from '../../../src/lib/rng.ts';
import type { RunIdentity } from '../../../src/training/checkpoint.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  requireSameRun,
  requireStates,
  requireWithin,
} from '../../../src/training/checkpoint.ts';
import { trainingSchema } from '../../../src/training/settings.ts';
import { type Door, fuzzFile, type Input, withFile } from '../door.ts';
import { mutateJson } from '../mutate/json.ts';
import { enlargeJson } from '../mutate/large.ts';
import { enlargeSafetensors, mutateSafetensors, withHeader } from '../mutate/safetensors.ts';

const identity: RunIdentity = {
  settings: {
    method: 'boft',
    config: { target_modules: ['query'], boft_block_size: 4 },
    training: trainingSchema.parse({ seed: 9 }),
  },
  ...{ modelHash: 'ab'.repeat(32), dataHash: 'cd'.repeat(32), adapterHash: null },
};

const checkpoint: Checkpoint = {
  ...identity,
  ...{ step: 2, seconds: 3.25 },
  steps: [
    { step: 1, loss: 2.5, learningRate: 1e-3, gradNorm: 0.7, examples: 16, tokens: 16, seconds: 0.1 },
    { step: 2, loss: 2.25, learningRate: 1e-3, gradNorm: 0.6, examples: 32, tokens: 32, seconds: 0.2 },
  ],
  evals: [{ step: 0, metric: 'accuracy', value: 0.1, loss: 2.4, examples: 64 }],
  states: new Map([
    ['trainable', Float32Array.of(1.1, -2.2e-20, 3.3e20, 0)],
    ['adamw.m', Float32Array.of(1e-45, -0, 1, 2)],
    ['adamw.v', new Float32Array(4)],
  ]),
};

/** As they were written when they had no checksum, which says of anything spoilt only that it is. */
function unsealed({ states, ...run }: Checkpoint): Uint8Array {
  const tensors = [...states].map(([name, data]) => [name, { shape: [data.length], data }] as const);
  const metadata = { format: 'papilio-checkpoint', version: '1', run: JSON.stringify(run) };
  return writeSafetensors(new Map(tensors), metadata);
}

/** States of the run's engine. */
const SIZES = new Map([...checkpoint.states].map(([name, { length }]) => [name, length] as const));

/** The run's description inside the header, which is text inside of JSON. */
const spoilRun = (bytes: Uint8Array, random: Rng, change = mutateJson): Uint8Array =>
  withHeader(bytes, (header) => {
    const json = JSON.parse(header) as { __metadata__: Record<string, string> };
    json.__metadata__.run = change(json.__metadata__.run ?? '', random);
    return JSON.stringify(json);
  });

export const checkpoints: Door = {
  name: 'checkpoint',
  about: 'a checkpoint: states, position, curve and settings',
  seeds: (): Input[] => [
    { files: [fuzzFile('checkpoint.safetensors', unsealed(checkpoint))] },
    {
      files: [fuzzFile('checkpoint.safetensors', unsealed({ ...checkpoint, step: 0, steps: [], evals: [] }))],
    },
    { files: [fuzzFile('checkpoint.safetensors', writeSafetensors(new Map(), { format: 'pt' }))] },
  ],
  weight: 2,
  mutate: (input, random) =>
    withFile(input, random, (bytes) => {
      if (random.chance(0.6) && bytes.length > 100) return spoilRun(bytes, random);
      return mutateSafetensors(bytes, random);
    }),
  enlarge: (input, random) =>
    withFile(input, random, (bytes) =>
      random.chance(0.6) ? spoilRun(bytes, random, enlargeJson) : enlargeSafetensors(bytes, random),
    ),
  async open({ files }) {
    const read = await decodeCheckpoint(files[0]!.bytes);
    requireSameRun(read, identity);
    requireWithin(read, 100);
    requireStates(read, SIZES);
    await decodeCheckpoint(await encodeCheckpoint(read));
  },
};
