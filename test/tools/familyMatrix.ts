/** The share of `verify families` that the tests run: as few combinations as cover every pair of model, method, target and tie, in parts. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Combination, runCombination } from '../../tools/verify/families/combination.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { matrixOf, ownModels, pairsOfMatrix, tieOf } from '../../tools/verify/families/matrix.ts';
import { openSubject, type Subject, subjectNames } from '../../tools/verify/families/subjects.ts';

/** Refusals are few and each has its reason: what a method cannot adapt, and what has no default. */
const REFUSALS = [
  /^\w+ cannot adapt \S+: /,
  /^target_modules is not given and there is no default for model type/,
  /^Head only configuration: .* none are listed/,
];

/** Folding constants made a tensor of its own of the turned table. */
const STORED_APART = ['gpt2-tied-folded'];

async function openAll(): Promise<Map<string, Subject>> {
  const root = await ownModels();
  const subjects = new Map<string, Subject>();
  for (const name of await subjectNames(root)) subjects.set(name, await openSubject(join(root, name)));
  return subjects;
}

/** @param part from 0 to `parts` − 1: every parts-th model */
export function describePart(names: readonly string[], part: number, parts: number): void {
  const mine = names.filter((_, i) => i % parts === part);
  let subjects: ReadonlyMap<string, Subject>;
  let chosen: readonly Combination[];
  beforeAll(async () => {
    subjects = await openAll();
    chosen = pairsOfMatrix(matrixOf([...subjects.values()]), subjects);
  }, 120_000);

  describe.each(mine)('%s', (name) => {
    test('ties its head to its table of words where config.json says so', () => {
      const subject = subjects.get(name)!;
      const { ties, head, targets } = subject.opened.model;
      if (tieOf(subject) !== 'tied' || STORED_APART.includes(name)) {
        expect(ties).toEqual([]);
        return;
      }
      expect(ties).toHaveLength(1);
      const tables = targets.layers.filter((l) => l.kind === 'embedding').map((l) => `${l.name}.weight`);
      expect(ties[0]!.filter((one) => tables.includes(one))).toHaveLength(1);
      if (head !== null) expect(ties[0]).toContain(`${head}.weight`);
    });

    test('every method and every target: trained, merged, run by onnxruntime, saved and loaded', async () => {
      const own = chosen.filter((c) => c.subject === name);
      expect(own.length).toBeGreaterThan(5);
      const wrong: string[] = [];
      let passed = 0;
      for (const { method, target } of own) {
        const outcome = await runCombination(
          { engine: interpreterEngines },
          subjects.get(name)!,
          method,
          target,
        );
        if (outcome.status === 'passed') passed++;
        const expected =
          outcome.status === 'passed' ||
          (outcome.status === 'refused' && REFUSALS.some((r) => r.test(outcome.sentence)));
        if (!expected) wrong.push(`${method} × ${target}: ${outcome.status}: ${outcome.sentence}`);
      }
      expect(wrong).toEqual([]);
      expect(passed).toBeGreaterThan(own.length / 2);
    });
  });
}
