/**
 * One adapted layer at a time against figures that PEFT computed: forward, gradients, rotation or update, merged weight. Figures:
 * test/fixtures/peft/cases. That a wrong figure is noticed is itself a test; seen to fail as well with OFT's rotation transposed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import { checkPeftCase, type PeftCase } from '../../tools/verify/peft/case.ts';
import { testDevice } from './device.ts';

const folder = new URL('../fixtures/peft/cases/', import.meta.url);
const cases = readdirSync(folder)
  .sort()
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as PeftCase);
const named = (name: string) => cases.find((c) => c.name === name)!;

test.each(cases.map((c) => [c.name, c] as const))('%s', async (_name, c) => {
  const results = await checkPeftCase(await testDevice(), c);
  expect(results.filter((r) => !r.ok)).toEqual([]);
  const compared = results.map((r) => r.what);
  expect(compared).toEqual(expect.arrayContaining(['y', 'loss']));
  for (const name of Object.keys(c.expected.grad)) expect(compared).toContain(`grad:${name}`);
});

test('every method that PEFT knows is among the cases', () => {
  const known = Object.values(METHODS).filter((m) => m.fileNames !== 'any' && m.targets !== 'none');
  expect([...new Set(cases.map((c) => c.method))].sort()).toEqual(known.map((m) => m.peftType).sort());
});

describe('a wrong figure is noticed', () => {
  const failing = async (c: PeftCase) => {
    const results = await checkPeftCase(await testDevice(), c);
    return results.filter((r) => !r.ok).map((r) => r.what);
  };
  const bent = (t: { readonly shape: readonly number[]; readonly data: readonly number[] }) => ({
    ...t,
    data: t.data.map((v, i) => (i === 3 ? v + 0.01 : v)),
  });

  test('in the output', async () => {
    const c = named('oft_b4_neumann5');
    expect(await failing({ ...c, expected: { ...c.expected, y: bent(c.expected.y) } })).toEqual(['y']);
  });

  test('in a gradient', async () => {
    const c = named('boft_b2_f2');
    const [name, figure] = Object.entries(c.expected.grad)[0]!;
    const grad = { ...c.expected.grad, [name]: bent(figure) };
    expect(await failing({ ...c, expected: { ...c.expected, grad } })).toEqual([`grad:${name}`]);
  });

  test('in the merged weight', async () => {
    const c = named('lora_r4_a8');
    const merged_weight = bent(c.expected.merged_weight!);
    expect(await failing({ ...c, expected: { ...c.expected, merged_weight } })).toEqual(['merged_weight']);
  });
});
