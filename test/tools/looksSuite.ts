/**
 * What holds of questions about other weights and of longer looks, on whichever engine: at 0 the base, at 1 the run, in between what single
 * cosines and float64 say, and the run goes on bit for bit as if nobody had asked.
 */
import { expect, it } from 'vitest';
import { fourierLocations } from '../../src/adapters/fourierft/config.ts';
import { TRAINABLE } from '../../src/adapters/inject.ts';
import type { MethodId } from '../../src/adapters/registry.ts';
import { breather } from '../../src/training/looks.ts';
import type { WhatIfRequest } from '../../src/training/protocol.ts';
import type { Session } from '../../src/training/session.ts';
import { weightReport } from '../../src/training/weights.ts';
import { askWhatIf } from '../../src/training/whatIf.ts';

export interface LooksSubject {
  /** A run of at least six steps on query and value of a tiny transformer, evaluated on `held` examples. */
  readonly open: (method: MethodId, config: Readonly<Record<string, unknown>>) => Promise<Session>;
  /** Largest difference of two losses that are the same. */
  readonly tolerance: number;
  /** Its states have more bits than are read and written. */
  readonly isFiner?: boolean;
}

const ask = (session: Session, request: WhatIfRequest) => session.atStep((one) => askWhatIf(one, request));

const targetsOf = (session: Session) => session.plan.groups.flatMap(({ layers }) => layers);

/** Defines the tests. */
export function looksSuite(name: string, { open, tolerance, isFiner = false }: LooksSubject): void {
  it(`${name}: at no strength the base, at full strength the run, and the run never knows`, async () => {
    const config = { boft_block_size: 2, boft_n_butterfly_factor: 2, target_modules: ['query', 'value'] };
    const [asked, alone] = [await open('boft', config), await open('boft', config)];
    for (const session of [asked, alone]) await session.play(3);
    const module = targetsOf(asked)[0]!.name;
    const before = await asked.engine.readState(TRAINABLE);
    const at = async (strengths: number[]) =>
      (await ask(asked, { change: { strengths }, module, scored: 4 })).value;
    const [none, half, all, one] = [
      await at([0, 0]),
      await at([0.5, 0.5]),
      await at([1, 1]),
      await at([1, 0]),
    ];
    expect(none.strengths).toBe(2);
    const base = await asked.evaluate('base');
    const trained = await asked.evaluate('adapted');
    expect(Math.abs(none.metric!.loss - base.loss)).toBeLessThan(tolerance);
    expect(all.metric).toEqual(trained);
    expect(none.inspection!.delta.relative).toBeLessThan(1e-6);
    expect(all.inspection!.delta.relative).toBeGreaterThan(half.inspection!.delta.relative);
    expect(half.inspection!.delta.relative).toBeGreaterThan(0.2 * all.inspection!.delta.relative);
    // Half of the way is a rotation as the end is, and turns less.
    expect(half.inspection!.rotation!.orthogonality).toBeLessThan(1e-4);
    expect(half.inspection!.rotation!.maxAngle).toBeLessThan(all.inspection!.rotation!.maxAngle);
    // Of two factors the second is the identity.
    const { data, angles } = one.inspection!.factors![1]!;
    const block = Math.sqrt(data.length / angles.length);
    data.forEach((value, k) => {
      expect(Math.abs(value - ((k % block ** 2) % (block + 1) === 0 ? 1 : 0))).toBeLessThan(1e-6);
    });
    expect(Math.max(...angles)).toBeLessThan(1e-5);
    // What cannot be answered leaves nothing behind either.
    await expect(ask(asked, { change: { strengths: [0, 0] }, module: 'nowhere' })).rejects.toMatchObject({
      kind: 'not-found',
    });
    expect(await asked.engine.readState(TRAINABLE)).toEqual(before);
    for (const session of [asked, alone]) await session.play(3);
    const [found, wanted] = [asked, alone].map(({ history }) => history.steps.map(({ loss }) => loss));
    if (isFiner)
      found!.forEach((loss, i) => {
        expect(Math.abs(loss - wanted![i]!)).toBeLessThan(tolerance * wanted![i]!);
      });
    else expect(found).toEqual(wanted);
    expect(found).toHaveLength(6);
    await Promise.all([asked.close(), alone.close()]);
  });

  it(`${name}: one coefficient moved adds its cosine to ΔW`, async () => {
    const scaling = 20;
    const session = await open('fourierft', { n_frequency: 20, scaling, target_modules: ['query', 'value'] });
    await session.play(2);
    const { name: module, in: columns, out: rows } = targetsOf(session)[1]!;
    const inspect = async (values?: Float32Array) =>
      (await ask(session, { change: values ? { spectrum: { module, values } } : {}, module })).value
        .inspection!;
    const before = await inspect();
    const at = 7;
    const values = before.spectrum!.values.slice();
    const by = 0.75;
    values[at] = values[at]! + by;
    const after = await inspect(values);
    expect(after.spectrum!.values).toEqual(values);
    const places = fourierLocations(rows, columns, 20, 777);
    let worst = 0;
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        const angle = 2 * Math.PI * ((places.row[at]! * r) / rows + (places.column[at]! * c) / columns);
        const wanted = (scaling * by * Math.cos(angle)) / (rows * columns);
        const k = r * columns + c;
        worst = Math.max(worst, Math.abs(after.delta.data[k]! - before.delta.data[k]! - wanted));
      }
    expect(worst).toBeLessThan(1e-6);
    expect(before.delta.relative).not.toBe(after.delta.relative);
    // A frequency that is off, and the run is as it was.
    expect((await inspect()).delta.data).toEqual(before.delta.data);
    await expect(inspect(values.subarray(1))).rejects.toMatchObject({ kind: 'bad-argument' });
    const elsewhere = { change: { spectrum: { module: 'classifier', values } } };
    await expect(ask(session, elsewhere)).rejects.toMatchObject({ kind: 'not-found' });
    await session.close();
  });

  it(`${name}: rotations keep energy and angles at full rank, LoRA neither and its own rank`, async () => {
    const look = async (method: MethodId, config: Readonly<Record<string, unknown>>) => {
      const session = await open(method, { ...config, target_modules: ['query', 'value'] });
      await session.play(6);
      const { name: module } = targetsOf(session)[0]!;
      const report = await weightReport(
        session,
        await session.inspect(module),
        breather(new AbortController().signal),
      );
      await session.close();
      return report;
    };
    const turned = await look('oft', { oft_block_size: 8, use_cayley_neumann: false });
    const low = await look('lora', { r: 2 });
    const change = ({ neurons: { energy } }: typeof low) => Math.abs(energy.after / energy.before - 1);
    expect(low.singular.rank).toBe(2);
    expect(turned.singular.rank).toBeGreaterThan(4);
    expect(turned.singular.values.length).toBe(Math.min(turned.rows, turned.columns));
    expect(change(turned)).toBeLessThan(1e-6);
    expect(turned.neurons.turned.most).toBeLessThan(1e-4);
    expect(change(low)).toBeGreaterThan(10 * change(turned));
    expect(low.neurons.turned.most).toBeGreaterThan(1e-3);
    // ‖ΔW‖² is the sum of the squares.
    for (const { singular } of [turned, low]) {
      const sum = singular.values.reduce((s, v) => s + v * v, 0);
      expect(Math.sqrt(sum) / singular.norm).toBeCloseTo(1, 6);
    }
    expect(low.lora!.rank).toBe(2);
    expect(low.lora!.share).toBeGreaterThan(0.999);
    expect(turned.lora!.share).toBeLessThan(0.999);
  });
}
