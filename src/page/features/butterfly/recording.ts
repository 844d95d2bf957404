/** Steps of a run that have been looked into, so that one can go back to them: bounded in number and in bytes, thinned out when full. */
import type { Inspection, OfStep } from '../../../protocol.ts';
import type { Page } from '../../page.ts';

/** Steps that are kept, and bytes of all of them together: half of the steps are dropped when there are more. */
export const MOST_STEPS = 64;
export const MOST_BYTES = 64 * 2 ** 20;

const bytesOf = ({ rotation, factors = [], delta, tensors = [], spectrum }: Inspection): number =>
  [
    rotation?.data,
    delta.data,
    spectrum?.values,
    ...factors.flatMap(({ data, angles }) => [data, angles]),
    ...tensors.map(({ data }) => data),
  ].reduce((sum, data) => sum + (data?.byteLength ?? 0), 0);

export class Recording {
  private kept: readonly OfStep<Inspection>[] = [];
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly mostSteps = MOST_STEPS,
    private readonly mostBytes = MOST_BYTES,
  ) {}

  /** In the order of their steps; another list whenever something is added. */
  get steps(): readonly OfStep<Inspection>[] {
    return this.kept;
  }

  /** Of another module than before only this one is kept; a run that went back to an earlier step goes on from there. */
  add(seen: OfStep<Inspection>): void {
    const isSame = this.kept[0]?.value.module === seen.value.module;
    const before = isSame ? this.kept.filter(({ step }) => step < seen.step) : [];
    this.set(this.thinned([...before, seen]));
  }

  clear(): void {
    if (this.kept.length > 0) this.set([]);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Every second one goes while there are too many; the first and the last stay as long as there is room for two. */
  private thinned(steps: readonly OfStep<Inspection>[]): readonly OfStep<Inspection>[] {
    let list = steps;
    const isTooMuch = () =>
      list.length > this.mostSteps ||
      list.reduce((sum, { value }) => sum + bytesOf(value), 0) > this.mostBytes;
    while (list.length > 1 && isTooMuch()) {
      const last = list.length - 1;
      list = last === 1 ? list.slice(1) : list.filter((_, i) => i === last || i % 2 === 0);
    }
    return list;
  }

  private set(steps: readonly OfStep<Inspection>[]): void {
    this.kept = steps;
    for (const listener of this.listeners) listener();
  }
}

const recordings = new WeakMap<object, Recording>();

/** The page's recording: from when it is first asked for, everything that a run is asked of its inside. */
export function recordingOf({ run }: Pick<Page, 'run'>): Recording {
  const known = recordings.get(run);
  if (known !== undefined) return known;
  const recording = new Recording();
  recordings.set(run, recording);
  const { inspection } = run.getState();
  if (inspection !== null) recording.add(inspection);
  run.subscribe((now, before) => {
    if (now.open !== before.open) recording.clear();
    if (now.inspection !== null && now.inspection !== before.inspection) recording.add(now.inspection);
  });
  return recording;
}
