/**
 * Steps that were looked into are kept in order, bounded in number and bytes, and belong to one run and one module. Seen to fail with: the
 * first step thinned out, a step of the run before kept, bytes not counted.
 */
import { describe, expect, it } from 'vitest';
import { Recording, recordingOf } from '../../src/page/features/butterfly/recording.ts';
import { createStores } from '../../src/page/stores.ts';
import type { Inspection, OfStep } from '../../src/training/protocol.ts';

const seen = (step: number, numbers = 1, module = 'q'): OfStep<Inspection> => ({
  step,
  value: {
    module,
    method: 'boft',
    delta: { rows: 1, columns: numbers, data: new Float32Array(numbers).fill(step), relative: 0 },
  },
});
const steps = ({ steps: list }: Recording) => list.map(({ step }) => step);

describe('a recording', () => {
  it('keeps the first and the last step, and every second between them when there are too many', () => {
    const recording = new Recording(5);
    for (let step = 0; step <= 5; step++) recording.add(seen(step));
    expect(steps(recording)).toEqual([0, 2, 4, 5]);
    for (let step = 6; step <= 40; step++) recording.add(seen(step));
    expect(recording.steps.length).toBeLessThanOrEqual(5);
    expect([steps(recording)[0], steps(recording).at(-1)]).toEqual([0, 40]);
    expect(steps(recording)).toEqual(steps(recording).toSorted((a, b) => a - b));
  });

  it('counts bytes, and keeps the last step however large it is', () => {
    const recording = new Recording(100, 4 * 1000);
    for (let step = 0; step < 30; step++) recording.add(seen(step, 100));
    const bytes = recording.steps.reduce((sum, { value }) => sum + value.delta.data.byteLength, 0);
    expect(bytes).toBeLessThanOrEqual(4000);
    expect(recording.steps.length).toBeGreaterThan(4);
    recording.add(seen(30, 5000));
    expect(steps(recording)).toEqual([30]);
  });

  it('goes on from an earlier step where the run went back to it, and is of one module', () => {
    const recording = new Recording();
    for (const step of [0, 10, 20, 30]) recording.add(seen(step));
    recording.add(seen(20));
    expect(steps(recording)).toEqual([0, 10, 20]);
    recording.add(seen(21, 1, 'k'));
    expect(steps(recording)).toEqual([21]);
  });

  it('follows the run of the page, and forgets it when another is open', () => {
    const { run } = createStores();
    const page = { run } as Parameters<typeof recordingOf>[0];
    run.setState({ inspection: seen(3) });
    const recording = recordingOf(page);
    expect(recordingOf(page)).toBe(recording);
    let told = 0;
    recording.subscribe(() => told++);
    run.setState({ inspection: seen(4) });
    run.setState({ busy: 'Merging' });
    expect([steps(recording), told]).toEqual([[3, 4], 1]);
    run.setState({ open: {} as never, inspection: null });
    expect([steps(recording), told]).toEqual([[], 2]);
    run.setState({ inspection: seen(1) });
    expect(steps(recording)).toEqual([1]);
  });
});
