/** Sizes solved for a budget: no other size of the method's own list comes nearer. */
import { describe, expect, it } from 'vitest';
import { validateForRun } from '../../src/adapters/config.ts';
import { METHODS, type MethodId } from '../../src/adapters/registry.ts';
import { type Sized, sizeFor } from '../../src/adapters/size.ts';
import type { Layer } from '../../src/adapters/types.ts';

const layer = (name: string, inputs: number, outputs: number): Layer => ({
  name,
  kind: 'linear',
  in: inputs,
  out: outputs,
  hasBias: true,
});
const layers = [0, 1, 2].flatMap((i) => [
  layer(`encoder.layer.${i}.query`, 64, 64),
  layer(`encoder.layer.${i}.fc1`, 64, 192),
  layer(`encoder.layer.${i}.fc2`, 192, 64),
]);
const model = { layers, outputEmbedding: null, pretrained: true, modelType: null };
const where = { target_modules: ['query', 'fc1', 'fc2'], bias: 'none' };
const run = { totalSteps: 30 };

function solved(method: MethodId, budget: number, at: Readonly<Record<string, unknown>> = where): Sized {
  const found = sizeFor(METHODS[method], at, model, budget, run);
  if ('reason' in found) throw new Error(`${method}: ${found.reason}`);
  return found;
}

/** Numbers that a configuration keeps, counted layer by layer. */
function countOf(method: MethodId, config: Readonly<Record<string, unknown>>): number | null {
  try {
    const parsed = validateForRun(METHODS[method], config, run.totalSteps).config;
    if (layers.some((l) => METHODS[method].check(l, parsed) !== null)) return null;
    return layers.reduce((n, l) => n + METHODS[method].count(l, parsed).stored, 0);
  } catch {
    return null;
  }
}

const turned = (Object.keys(METHODS) as MethodId[]).filter((id) => METHODS[id].size !== undefined);

describe.each(turned)('%s', (method) => {
  it.each([900, 4_000, 20_000])('keeps the number nearest to %i', (budget) => {
    const { config, count } = solved(method, budget);
    expect(countOf(method, config)).toBe(count.adapter);
    const away = Math.abs(count.adapter - budget);
    for (const { field, values } of METHODS[method].size!) {
      const own = config[field] as number;
      const others = 'min' in values ? [own - 1, own + 1].filter((v) => v >= values.min) : values;
      for (const value of others) {
        const other = countOf(method, { ...config, [field]: value });
        if (other !== null)
          expect(Math.abs(other - budget), `${field} ${value}`).toBeGreaterThanOrEqual(away);
      }
    }
  });
});

describe('a size', () => {
  it('takes the fields along that keep its scale', () => {
    const { config } = solved('lora', 20_000);
    expect((config.lora_alpha as number) / (config.r as number)).toBe(1);
    // FourierFT's update grows with the root of its frequencies, which its scaling takes back.
    const [few, many] = [solved('fourierft', 500), solved('fourierft', 8_000)].map((s) => s.config);
    const ratio = (few!.scaling as number) / (many!.scaling as number);
    const frequencies = (many!.n_frequency as number) / (few!.n_frequency as number);
    expect(frequencies).toBeGreaterThan(4);
    expect(ratio / Math.sqrt(frequencies)).toBeCloseTo(1, 1);
  });

  it('is searched over all combinations of BOFT’s two settings', () => {
    const { used: found, count } = solved('boft', 10_000);
    let best = Number.POSITIVE_INFINITY;
    for (const b of [2, 4, 8, 16, 32])
      for (const m of [1, 2, 3, 4, 5, 6]) {
        const config = { ...where, boft_block_size: b, boft_n_butterfly_factor: m };
        const other = countOf('boft', config);
        if (other !== null) best = Math.min(best, Math.abs(other - 10_000));
      }
    expect(Math.abs(count.adapter - 10_000)).toBe(best);
    expect(Object.keys(found).sort()).toEqual(['boft_block_size', 'boft_n_butterfly_factor']);
  });

  it('is told as the layers have it where the method fits it to them', () => {
    const odd = { ...model, layers: [layer('a.query', 40, 40), layer('a.fc1', 64, 40)] };
    // 64 does not divide 40: PEFT takes 40 there.
    const at = { target_modules: ['query', 'fc1'], bias: 'none' };
    const found = sizeFor(METHODS.oft, at, odd, (40 * 39 + 64 * 63) / 2, run);
    expect(found).toMatchObject({ config: { oft_block_size: 64 }, used: { oft_block_size: [40, 64] } });
    expect(solved('oft', 4_000).used.oft_block_size).toHaveLength(1);
  });

  it('is no matter where the modules decide it', () => {
    const found = sizeFor(METHODS.head, { ...where, modules_to_save: ['fc2'] }, model, 5_000, run);
    expect(found).toMatchObject({ used: {}, count: { adapter: 0 } });
  });

  it('is refused with the reason of the layer', () => {
    const odd = { ...model, layers: [layer('a.query', 7, 7)] };
    expect(sizeFor(METHODS.boft, { target_modules: ['query'] }, odd, 100, run)).toMatchObject({
      reason: expect.stringContaining('a.query'),
    });
  });
});
