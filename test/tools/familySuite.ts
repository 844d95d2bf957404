/** What every family has to show: onnxruntime's answers, the same fused and as spelled down to every gradient, PyTorch's names. */
import { describe, expect, test } from 'vitest';
import { importModel } from '../../src/models/import/importModel.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { parity } from '../../src/training/parity.ts';
import { gradientError, inRuntime, type Run, run, trainedInRuntime } from './importRun.ts';

export interface Family {
  readonly model: () => OnnxModel;
  readonly family: string;
  /** Some modules, by PyTorch's names. */
  readonly modules: readonly string[];
  /** Nodes that run as kernels, at most. */
  readonly dispatches: number;
  /** Attentions that become one kernel; 2 unless told. */
  readonly attention?: number;
}

export function describeFamilies(families: Readonly<Record<string, Family>>): void {
  describe.each(Object.entries(families))('%s', { timeout: 60_000 }, (_name, f) => {
    const model = f.model();
    let once: Run | null = null;
    const fusedRun = (): Run => (once ??= run(model, true));

    test('gives the answers of onnxruntime', async () => {
      const { logits } = fusedRun();
      expect(parity(logits.data, await inRuntime(model)).maxRel).toBeLessThan(2e-5);
    });

    test('means the same fused and as spelled, down to every gradient', () => {
      const fused = fusedRun();
      const spelled = run(model, false);
      expect(parity(fused.logits.data, spelled.logits.data).maxRel).toBeLessThan(1e-6);
      expect(gradientError(fused, spelled)).toBeLessThan(1e-6);
      expect(fused.ops.length).toBeLessThan(spelled.ops.length);
      expect(fused.ops.length).toBeLessThanOrEqual(f.dispatches);
      expect(fused.ops.filter((op) => op === 'attention')).toHaveLength(f.attention ?? 2);
      if (f.attention === undefined) expect(fused.ops).not.toContain('softmax');
    });

    test('has the same logits and gradients where onnxruntime trains it', async () => {
      const { logits, gradients } = await trainedInRuntime(fusedRun());
      expect(logits).toBeLessThan(2e-5);
      expect(gradients).toBeLessThan(1e-4);
    });

    test('is named as in PyTorch', () => {
      const imported = importModel(model);
      expect(imported.family).toBe(f.family);
      const names = imported.modules.map((m) => m.name);
      for (const module of f.modules) expect(names).toContain(module);
      expect(new Set(names).size).toBe(names.length);
    });
  });
}
