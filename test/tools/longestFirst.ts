/**
 * The order of the files of a part: those that take longest come first, so that none of them runs alone at the end. vitest's own order goes by how long
 * their texts are, where it has not run them yet.
 */
import { statSync } from 'node:fs';
import type { TestSpecification } from 'vitest/node';

/**
 * Longest first, as they took on two cores; files that are not here come after them, by their size. Before all others on a GPU come those that replace modules:
 * after them a worker has to compile its kernels anew.
 */
export const LONGEST: readonly string[] = [
  ...['families-1', 'families-2', 'fuzz-large', 'models-ties', 'ops-onnxruntime'].map(
    (name) => `unit/${name}`,
  ),
  ...['training-snippets', 'hub-shared-cache', 'python-project', 'fuzz'].map((name) => `unit/${name}`),
  ...['cli', 'cli-commands', 'program', 'ops-1', 'ops-2', 'faults'].map((name) => `gpu/${name}`),
  ...['training-methods', 'engines-agree', 'forms', 'tasks', 'variants', 'tuning'].map(
    (name) => `gpu/${name}`,
  ),
  ...['labs-everywhere', 'page', 'labs', 'runs', 'offline', 'no-gpu'].map((name) => `e2e/${name}`),
  ...['firefox', 'accessible', 'page-errors', 'survive', 'kernels', 'package'].map((name) => `e2e/${name}`),
];

const rank = ({ moduleId }: TestSpecification): number => {
  const at = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
  return at < 0 ? LONGEST.length : at;
};

const size = ({ moduleId }: TestSpecification): number => statSync(moduleId).size;

export class LongestFirst {
  async shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files;
  }

  async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return [...files].sort((a, b) => rank(a) - rank(b) || size(b) - size(a));
  }
}
