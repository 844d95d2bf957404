/**
 * Checkpoints as bytes. Seen to fail with: states written as another type, a version that is not compared, hashes that are not compared,
 * a configuration that is not compared.
 */
import { describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/adapters/safetensors.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  hashOf,
  requireSameRun,
} from '../../src/training/checkpoint.ts';
import { trainingSchema } from '../../src/training/settings.ts';

const checkpoint: Checkpoint = {
  step: 12,
  settings: {
    method: 'boft',
    config: { target_modules: ['query'], boft_block_size: 4 },
    training: trainingSchema.parse({ seed: 9 }),
  },
  modelHash: 'aa',
  dataHash: 'bb',
  adapterHash: null,
  steps: [
    { step: 1, loss: 2.5, learningRate: 1e-3, gradNorm: 0.7, examples: 16, tokens: 16, seconds: 0.123456789 },
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
  expect(() => decodeCheckpoint(bytes)).toThrowError(
    expect.objectContaining({ kind: 'checkpoint', message: expect.stringMatching(message) }),
  );
const container = (metadata: Record<string, string>) =>
  writeSafetensors(new Map([['trainable', { shape: [1], data: Float32Array.of(1) }]]), metadata);

describe('checkpoint', () => {
  it('comes back as it was, to the last bit of every state', () => {
    const back = decodeCheckpoint(encodeCheckpoint(checkpoint));
    const { states, ...rest } = checkpoint;
    const { states: statesBack, ...restBack } = back;
    expect(restBack).toEqual(rest);
    expect([...statesBack.keys()].sort()).toEqual([...states.keys()].sort());
    const bits = (data: Float32Array) => [...new Uint32Array(data.slice().buffer)];
    for (const [name, data] of states) expect(bits(statesBack.get(name)!), name).toEqual(bits(data));
  });

  it('refuses what is none, is cut off, or is of another version', () => {
    refuses(new TextEncoder().encode('not a checkpoint at all'), /cannot be read, start a new run/);
    refuses(new Uint8Array(0), /cannot be read/);
    const bytes = encodeCheckpoint(checkpoint);
    refuses(bytes.subarray(0, bytes.length - 5), /cannot be read/);
    refuses(container({ format: 'pt' }), /no Papilio checkpoint/);
    refuses(container({ format: 'papilio-checkpoint', version: '1' }), /no Papilio checkpoint/);
    refuses(
      container({ format: 'papilio-checkpoint', version: '0', run: '{}' }),
      /has version 0, .* reads version 1/,
    );
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
