/**
 * The adapter ops and the optimisers together against ten optimiser steps of PEFT and torch on fc2(tanh(fc1(x))): losses and the
 * adapter afterwards. Figures: test/fixtures/peft/train.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fourierLocations } from '../../src/adapters/fourierft/config.ts';
import { compile } from '../../src/gpu/compile.ts';
import { createStore } from '../../src/gpu/store.ts';
import { createBuilder } from '../../src/graph/builder.ts';
import { differentiate } from '../../src/graph/differentiate.ts';
import { schedule } from '../../src/graph/schedule.ts';
import type { Emitter, Value } from '../../src/graph/types.ts';
import {
  adamw,
  addN,
  binary,
  butterfly,
  cayley,
  cayleyFull,
  frequencyInputs,
  linear,
  pack,
  scale,
  sgd,
  sparseIdft,
  split,
  sumSquares,
  unary,
  view,
} from '../../src/ops/index.ts';
import { testDevice } from './device.ts';

interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Run {
  readonly method: 'OFT' | 'BOFT' | 'FOURIERFT';
  readonly config: Readonly<Record<string, number>>;
  readonly base: Readonly<Record<string, Numbers>>;
  readonly x: Numbers;
  readonly target: Numbers;
  readonly adapter_init: Readonly<Record<string, Numbers>>;
  readonly optimizer: {
    readonly name: string;
    readonly args: {
      lr: number;
      betas?: [number, number];
      eps?: number;
      weight_decay?: number;
      momentum?: number;
    };
  };
  readonly steps: number;
  readonly expected: {
    readonly losses: readonly number[];
    readonly adapter_final: Readonly<Record<string, Numbers>>;
  };
}

/** One adapted layer from its trained tensors by name. */
function layer(g: Emitter, run: Run, x: Value, w: Value, b: Value, tensor: (name: string) => Value): Value {
  const [out, width] = w.shape as [number, number];
  if (run.method === 'OFT') {
    const q = tensor('oft_R.weight');
    const r = cayley(g, q, {
      b: run.config.oft_block_size!,
      kind: 'neumann',
      terms: run.config.num_cayley_neumann_terms!,
    });
    return linear(g, butterfly(g, x, view(g, r, [1, ...r.shape])), w, b);
  }
  if (run.method === 'BOFT') {
    const r = cayleyFull(g, tensor('boft_R'), { b: run.config.boft_block_size! });
    const z = linear(g, butterfly(g, x, r), w, null);
    const scaled = binary(g, z, view(g, tensor('boft_s'), [1, out]), { fn: 'mul' });
    return binary(g, scaled, b, { fn: 'add' });
  }
  const { row, column } = fourierLocations(out, width, run.config.n_frequency!, run.config.random_loc_seed!);
  const spectrum = tensor('fourierft_spectrum');
  const frequencies = frequencyInputs(g, Int32Array.from(row), Int32Array.from(column), {
    out,
    in: width,
    scaling: run.config.scaling!,
  });
  const delta = sparseIdft(g, view(g, spectrum, [1, ...spectrum.shape]), frequencies);
  return linear(g, x, binary(g, w, view(g, delta, [out, width]), { fn: 'add' }), b);
}

async function train(
  run: Run,
): Promise<{ losses: number[]; state: Float32Array; parts: Map<string, number> }> {
  const device = await testDevice();
  const g = createBuilder();
  const f32 = (shape: readonly number[]) => ({ dtype: 'f32' as const, shape });
  const given = (name: string, n: Numbers) =>
    g.parameter(name, f32(n.shape), () => Float32Array.from(n.data));

  const names = Object.keys(run.adapter_init);
  const parts = new Map<string, number>();
  let size = 0;
  for (const name of names) {
    parts.set(name, size);
    size += Math.ceil(run.adapter_init[name]!.data.length / 64) * 64;
  }
  const initial = new Float32Array(size);
  for (const name of names) initial.set(run.adapter_init[name]!.data, parts.get(name)!);
  const params = g.state('params', f32([size]), () => initial);
  const pieces = split(
    g,
    params,
    names.map((name) => ({ offset: parts.get(name)!, shape: run.adapter_init[name]!.shape })),
  );
  const tensorOf = (fc: string) => (name: string) => pieces[names.indexOf(`base_model.model.${fc}.${name}`)]!;

  const weights = (fc: string) =>
    [given(`${fc}.weight`, run.base[`${fc}.weight`]!), given(`${fc}.bias`, run.base[`${fc}.bias`]!)] as const;
  const hidden = unary(g, layer(g, run, given('x', run.x), ...weights('fc1'), tensorOf('fc1')), {
    fn: 'tanh',
  });
  const y = layer(g, run, hidden, ...weights('fc2'), tensorOf('fc2'));
  const off = binary(g, y, given('target', run.target), { fn: 'sub' });
  const seed = scale(g, off, { by: 2 / run.target.data.length });
  const loss = scale(g, sumSquares(g, off), { by: 1 / run.target.data.length });
  const gradients = differentiate(g, { of: y, seed, wrt: pieces, sum: (e, terms) => addN(e, terms) });
  const grads = pack(
    g,
    pieces.map((p) => gradients.get(p)!),
    { offsets: names.map((name) => parts.get(name)!), size },
  );
  const zero = (name: string) => g.state(name, f32([size]), () => new Float32Array(size));
  const step = g.input('step', f32([16]));
  const update = { params, grads, step, squares: sumSquares(g, grads) };
  if (run.optimizer.name === 'AdamW') adamw(g, { ...update, m: zero('m'), v: zero('v') });
  else sgd(g, { ...update, velocity: zero('velocity') });

  const store = createStore(device);
  const program = await compile(device, store, schedule(g.finish({ loss }), device.caps));
  const { lr, betas = [0, 0], eps = 0, weight_decay = 0, momentum = 0 } = run.optimizer.args;
  const losses: number[] = [];
  for (let t = 1; t <= run.steps; t++) {
    const scalars = [lr, 1 - betas[0] ** t, 1 - betas[1] ** t, ...betas, eps, weight_decay, 0, momentum];
    const full = new Float32Array(16);
    full.set(scalars);
    program.write('step', full);
    program.run();
    losses.push((await program.read('loss'))[0]!);
  }
  const state = (await store.read('params', 'state')) as Float32Array;
  program.destroy();
  store.destroy();
  return { losses, state, parts };
}

for (const name of ['oft_neumann_adamw', 'boft_f2_adamw', 'fourier_sgd']) {
  test(`${name}: ten steps`, async () => {
    const file = new URL(`../fixtures/peft/train/${name}.json`, import.meta.url);
    const run = JSON.parse(readFileSync(file, 'utf8')) as Run;
    const { losses, state, parts } = await train(run);
    losses.forEach((loss, t) => {
      expect(Math.abs(loss / run.expected.losses[t]! - 1), `loss before step ${t}`).toBeLessThan(2e-5);
    });
    for (const [key, { data }] of Object.entries(run.expected.adapter_final)) {
      const largest = Math.max(...data.map(Math.abs));
      const worst = Math.max(...data.map((v, i) => Math.abs(v - state[parts.get(key)! + i]!)));
      expect(worst / largest, key).toBeLessThan(1e-4);
    }
  });
}
