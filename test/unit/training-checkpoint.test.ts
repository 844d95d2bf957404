/**
 * Checkpoints as bytes. Seen to fail with: states written as another type, a version that is not compared, hashes that are not compared,
 * a configuration that is not compared, cells of the curve that are texts, a checksum that is not compared.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { adapterTensor, readSafetensors, writeSafetensors } from '../../src/adapters/safetensors.ts';
import type { AdapterTensor } from '../../src/adapters/types.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  hashOf,
  requireSameRun,
  requireStates,
  requireWithin,
} from '../../src/training/checkpoint.ts';
import { metricsCsv } from '../../src/training/evaluation.ts';
import type { EvalMetric } from '../../src/training/protocol.ts';
import { trainingSchema } from '../../src/training/settings.ts';

const checkpoint: Checkpoint = {
  step: 2,
  settings: {
    method: 'boft',
    config: { target_modules: ['query'], boft_block_size: 4 },
    training: trainingSchema.parse({ seed: 9 }),
  },
  modelHash: 'a1'.repeat(32),
  dataHash: `${'b2'.repeat(32)}-${'0c'.repeat(32)}`,
  adapterHash: null,
  steps: [
    { step: 1, loss: 2.5, learningRate: 1e-3, gradNorm: 0.7, examples: 16, tokens: 16, seconds: 0.123456789 },
    { step: 2, loss: -1e-300, learningRate: 0, gradNorm: 5e-324, examples: 32, tokens: 99, seconds: 3.25 },
  ],
  evals: [{ step: 0, metric: 'accuracy', value: 0.1, loss: 2.4, examples: 64 }],
  seconds: 3.25,
  states: new Map([
    ['trainable', Float32Array.of(1.1, -2.2e-20, 3.3e20, 0)],
    ['adamw.m', Float32Array.of(1e-45, -0)],
    ['adamw.v', new Float32Array(0)],
  ]),
};
const refuses = (bytes: Uint8Array, message: RegExp) =>
  expect(decodeCheckpoint(bytes)).rejects.toThrowError(
    expect.objectContaining({ kind: 'checkpoint', message: expect.stringMatching(message) }),
  );
const container = (metadata: Record<string, string>) =>
  writeSafetensors(new Map([['trainable', { shape: [1], data: Float32Array.of(1) }]]), metadata);

// biome-ignore lint/suspicious/noExplicitAny: metadata of any shape.
type Json = Record<string, any>;
const at = (run: Json, ...path: (string | number)[]): Json =>
  path.reduce<Json>((part, key) => part[key] as Json, run);
/** The checkpoint with something else in what it says of its run, without the checksum that would tell. */
async function changed(change: (run: Json) => void): Promise<Uint8Array> {
  const { metadata, tensors } = readSafetensors(await encodeCheckpoint(checkpoint));
  const run = JSON.parse(metadata.get('run')!) as Json;
  change(run);
  return writeSafetensors(new Map([...tensors].map(([name, t]) => [name, adapterTensor(name, t)])), {
    format: 'papilio-checkpoint',
    version: '1',
    run: JSON.stringify(run),
  });
}

describe('checkpoint', () => {
  it('comes back as it was, to the last bit of every state', async () => {
    const back = await decodeCheckpoint(await encodeCheckpoint(checkpoint));
    const { states, ...rest } = checkpoint;
    const { states: statesBack, ...restBack } = back;
    expect(restBack).toEqual(rest);
    expect([...statesBack.keys()].sort()).toEqual([...states.keys()].sort());
    const bits = (data: Float32Array) => [...new Uint32Array(data.slice().buffer)];
    for (const [name, data] of states) expect(bits(statesBack.get(name)!), name).toEqual(bits(data));
  });

  it('comes back after 150,000 steps', async () => {
    const steps = Array.from({ length: 150_000 }, (_, i) => ({ ...checkpoint.steps[0]!, step: i + 1 }));
    const long = { ...checkpoint, step: steps.length, steps };
    expect((await decodeCheckpoint(await encodeCheckpoint(long))).steps).toHaveLength(steps.length);
  });

  it('refuses what is none, is cut off, or is of another version', async () => {
    const isNone =
      /^The file is no checkpoint, or only part of one: choose the \.safetensors file that was saved/;
    await refuses(new TextEncoder().encode('not a checkpoint at all'), isNone);
    await refuses(new Uint8Array(0), isNone);
    await expect(decodeCheckpoint(new Uint8Array(0), 'mine.bin')).rejects.toThrow(
      /^mine\.bin is no checkpoint/,
    );
    const bytes = await encodeCheckpoint(checkpoint);
    await refuses(bytes.subarray(0, bytes.length - 5), isNone);
    await refuses(container({ format: 'pt' }), isNone);
    await refuses(container({ format: 'papilio-checkpoint', version: '1' }), isNone);
    await refuses(
      container({ format: 'papilio-checkpoint', version: '0', run: '{}' }),
      /has version 0, .* reads versions 1 and 2/,
    );
  });

  it('never goes on from other bits than were written', async () => {
    const whole = await decodeCheckpoint(await encodeCheckpoint(checkpoint));
    const bytes = await encodeCheckpoint(checkpoint);
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit += bit % 11 === 0 ? 5 : 7) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const read = await decodeCheckpoint(flipped).catch((error: unknown) => {
        expect(error).toMatchObject({ kind: 'checkpoint' });
        return null;
      });
      // Blanks between what is said may change, nothing else.
      if (read) expect(read, `bit ${bit}`).toEqual(whole);
      else refused++;
    }
    expect(refused).toBeGreaterThan(bytes.length);
    for (const name of ['trainable', 'adamw.m']) {
      const { tensors } = readSafetensors(bytes);
      const other = bytes.slice();
      other[tensors.get(name)!.bytes.byteOffset + 1]! ^= 4;
      await refuses(other, /damaged.*does not give its checksum/);
    }
    // Another order of its states' names is another checkpoint, and so is one whose checksum is gone.
    const { metadata, tensors } = readSafetensors(bytes);
    const named = (to: (name: string) => string, meta: Record<string, string>) =>
      writeSafetensors(new Map([...tensors].map(([name, t]) => [to(name), adapterTensor(name, t)])), meta);
    const { sha256, ...rest } = Object.fromEntries(metadata);
    await refuses(
      named((name) => name.replace('adamw.m', 'adamw.n'), { ...rest, sha256: sha256! }),
      /checksum/,
    );
    await refuses(
      named((name) => name, rest),
      /checksum/,
    );
    expect(await decodeCheckpoint(named((name) => name, { ...rest, sha256: sha256! }))).toEqual(whole);
  });

  it('opens checkpoints of before, which have no checksum', async () => {
    const file = new URL('../fixtures/checkpoint-version-1.safetensors', import.meta.url);
    const old = await decodeCheckpoint(new Uint8Array(readFileSync(file)));
    expect(old).toMatchObject({
      step: 3,
      seconds: 0.75,
      settings: { method: 'oft', training: { seed: 21 } },
    });
    expect(old.evals[1]!.value).toBe(Number.POSITIVE_INFINITY);
    expect(old.states.get('trainable')).toEqual(Float32Array.from({ length: 37 }, (_, i) => (i - 18) / 7));
    expect(await decodeCheckpoint(await encodeCheckpoint(old))).toEqual(old);
  });

  it('keeps scores that JSON has no number for', async () => {
    const evals: EvalMetric[] = [
      { step: 0, metric: 'perplexity', value: Number.POSITIVE_INFINITY, loss: 800, examples: 3 },
      {
        step: 2,
        metric: 'rmse',
        value: Number.NaN,
        others: { r2: Number.NEGATIVE_INFINITY },
        loss: Number.NaN,
        examples: 3,
      },
    ];
    expect((await decodeCheckpoint(await encodeCheckpoint({ ...checkpoint, evals }))).evals).toEqual(evals);
    // As they were written before: null.
    const old = await changed((run) => {
      run.evals = [{ ...evals[0], value: null }];
    });
    expect((await decodeCheckpoint(old)).evals).toEqual([{ ...evals[0], value: Number.NaN }]);
  });

  it.each<[string, (run: Json) => void, RegExp]>([
    ['a fraction of a step', (run) => (run.step = 1.5), /damaged.*step/],
    ['a step below nothing', (run) => (run.step = -1), /damaged.*step/],
    ['a step in words', (run) => (run.step = '2'), /damaged.*step/],
    ['more steps than its curve', (run) => (run.step = 3), /2 steps, not each of the 3/],
    ['a step beyond counting', (run) => (run.step = 1e300), /damaged.*step/],
    ['no settings', (run) => delete run.settings, /damaged.*settings/],
    [
      'settings of no method',
      (run) => (at(run, 'settings').method = '__proto__'),
      /damaged.*settings\.method/,
    ],
    [
      'a configuration that is a list',
      (run) => (at(run, 'settings').config = []),
      /damaged.*settings\.config/,
    ],
    [
      'a batch of no size',
      (run) => (at(run, 'settings', 'training').batchSize = 0),
      /damaged.*training\.batchSize/,
    ],
    [
      'thousands of fields',
      (run) =>
        (at(run, 'settings').config = Object.fromEntries(
          Array.from({ length: 3000 }, (_, i) => [`f${i}`, i]),
        )),
      /damaged.*settings\.config: it must be an object of at most 200 fields/,
    ],
    ['a hash that is a path', (run) => (run.modelHash = '../../etc/passwd'), /damaged.*modelHash/],
    ['a hash cut off', (run) => (run.dataHash = 'b2'.repeat(31)), /damaged.*dataHash/],
    ['no curve', (run) => (run.steps = null), /damaged.*steps/],
    ['a curve that is an object', (run) => (run.steps = { length: 2 }), /damaged.*steps/],
    ['a hole in its curve', (run) => (at(run, 'steps', 1).step = 1), /curve/],
    [
      'a formula for a loss',
      (run) => (at(run, 'steps', 0).loss = '=HYPERLINK("//evil","1")'),
      /damaged.*steps\.0\.loss/,
    ],
    ['a missing norm', (run) => delete at(run, 'steps', 1).gradNorm, /damaged.*steps\.1\.gradNorm/],
    ['a null in its curve', (run) => (at(run, 'steps')[1] = null), /damaged.*steps\.1/],
    ['time that ran backwards', (run) => (run.seconds = -3), /damaged.*seconds/],
    [
      'an escape for a metric',
      (run) => (at(run, 'evals', 0).metric = '\u001b[2J'),
      /damaged.*evals\.0\.metric/,
    ],
    [
      'a text among further figures',
      (run) => (at(run, 'evals', 0).others = { macroF1: '+1+1' }),
      /damaged.*evals\.0\.others/,
    ],
    ['an evaluation that is to come', (run) => (at(run, 'evals', 0).step = 7), /evaluation of step 7/],
  ])('refuses %s', async (_what, change, says) => refuses(await changed(change), says));

  it('refuses metadata that is no object', async () => {
    for (const run of ['{"step": 12', '', 'null', '[]', '"run"', '12', '{"__proto__": {"step": 1}}'])
      await refuses(container({ format: 'papilio-checkpoint', version: '1', run }), /damaged/);
    await refuses(
      container({ format: 'papilio-checkpoint', version: '\u001b[31m1', run: '{}' }),
      /has version "\\u001b\[31m1"/,
    );
  });

  it('takes from further figures those that have a name', async () => {
    const bytes = await changed((run) => {
      at(run, 'evals', 0).others = { macroF1: 0.5, '=cmd()': 1, __proto__: 2 };
    });
    const { steps, evals } = await decodeCheckpoint(bytes);
    expect(metricsCsv(steps, evals)).toMatch(/^[a-zA-Z0-9_,.+\n-]*$/);
    expect(Object.keys(evals[0]!.others!)).toEqual(['macroF1']);
  });

  it('holds every state of its run with its size, and none besides', () => {
    const sizes = new Map([...checkpoint.states].map(([name, data]) => [name, data.length]));
    const refusal = (wanted: ReadonlyMap<string, number>): string => {
      try {
        requireStates(checkpoint, wanted);
        return '';
      } catch (error) {
        expect(error).toMatchObject({ kind: 'checkpoint' });
        return (error as Error).message;
      }
    };
    expect(refusal(sizes)).toBe('');
    expect(refusal(new Map([...sizes, ['sgd.momentum', 4]]))).toContain('lacks the state sgd.momentum');
    expect(refusal(new Map([...sizes, ['trainable', 5]]))).toContain(
      'trainable has 4 numbers, and the run has 5',
    );
    expect(refusal(new Map([...sizes, ['adamw.v', 1]]))).toContain(
      'adamw.v has 0 numbers, and the run has 1',
    );
    expect(refusal(new Map([...sizes].slice(1)))).toContain('a state "trainable", which the run has not');
    expect(() => requireWithin(checkpoint, 2)).not.toThrow();
    expect(() => requireWithin(checkpoint, 1)).toThrow(/after 2 steps, and the run has 1 in all/);
  });

  it('holds its states as lists of float32 and in no other way', async () => {
    const { states, ...run } = checkpoint;
    const metadata = { format: 'papilio-checkpoint', version: '1', run: JSON.stringify(run) };
    const tensors = (entry: AdapterTensor) => writeSafetensors(new Map([['trainable', entry]]), metadata);
    await refuses(tensors({ shape: [2, 2], data: states.get('trainable')! }), /2 axes/);
    await refuses(tensors({ shape: [], data: Float32Array.of(1) }), /0 axes/);
    await refuses(tensors({ shape: [4], data: states.get('trainable')!, dtype: 'F16' }), /F16/);
  });

  it('belongs to one model, dataset, adapter, method, configuration and order of examples', () => {
    const { settings } = checkpoint;
    const refusal = (changed: Partial<Checkpoint>): string => {
      try {
        requireSameRun(checkpoint, { ...checkpoint, ...changed });
        return '';
      } catch (error) {
        expect(error).toMatchObject({ kind: 'checkpoint' });
        return (error as Error).message;
      }
    };
    expect(refusal({})).toBe('');
    expect(refusal({ modelHash: 'ax' })).toContain('another model');
    expect(refusal({ dataHash: 'bx' })).toContain('another data');
    expect(refusal({ adapterHash: 'cc' })).toContain('another adapter to go on from');
    expect(refusal({ settings: { ...settings, method: 'oft' } })).toContain('with boft, not with oft');
    const config = { ...settings.config, boft_block_size: 8 };
    expect(refusal({ settings: { ...settings, config } })).toContain('boft_block_size was 4 and is 8');
    const training = { ...settings.training, seed: 3, batchSize: 4 };
    expect(refusal({ settings: { ...settings, training } })).toContain(
      'batchSize was 16 and is 4; seed was 9 and is 3',
    );
    // A diverged run goes on at half the rate.
    expect(refusal({ settings: { ...settings, training: { ...settings.training, learningRate: 1 } } })).toBe(
      '',
    );
  });

  it('knows files by their contents', async () => {
    const abc = new TextEncoder().encode('abc');
    // The first example of FIPS 180-2.
    expect(await hashOf([abc])).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(await hashOf([abc, abc])).not.toBe(await hashOf([abc]));
  });
});
