/** What of the runs the browser holds: written one after the other, thinned as they grow old, and never silently lost. */
import type { StoreApi } from 'zustand/vanilla';
import { asPapilioError, say } from '../../../common.ts';
import type { Stores } from '../../stores.ts';
import { ELSEWHERE, type RunRecord } from '../training/runs.ts';
import type { RunDatabase } from './database.ts';
import { curveOf, FEW_POINTS, type KeptCurve, type KeptRun, keptOf, thinned } from './kept.ts';
import { MOST_RUNS, type WholeRun } from './runsFile.ts';

/** The newest runs keep their curve in all its points. */
export const WHOLE_CURVES = 50;

export interface StorageView {
  /** Why the last was not kept, or could not be read: a sentence. */
  readonly problem: string | null;
  /** Key of the run that others are held against. */
  readonly baseline: string | null;
}

const unreadText = (n: number): string =>
  n === 1
    ? say`1 kept run cannot be read and is left as it is: another version of this page wrote it.`
    : say`${n} kept runs cannot be read and are left as they are: another version of this page wrote them.`;

export class RunStorage {
  /** Points of each curve as it is kept. */
  private readonly points = new Map<string, number>();
  private writing: Promise<void> = Promise.resolve();
  /** Keys of runs for which there was no room, which is said. */
  private readonly unsaved = new Set<string>();

  /** @param measure asks how much the browser keeps */
  constructor(
    private readonly run: Stores['run'],
    private readonly view: Pick<StoreApi<StorageView>, 'setState' | 'getState'>,
    private readonly database: RunDatabase,
    private readonly measure: () => Promise<void>,
  ) {}

  /** What is kept, oldest first; nothing where the browser keeps nothing, which is said. */
  async load(): Promise<readonly KeptRun[]> {
    try {
      const { runs, unread } = await this.database.runs();
      for (const { key, points } of runs) this.points.set(key, points);
      const problem = unread === 0 ? null : unreadText(unread);
      this.view.setState({ problem });
      await this.measure();
      return runs;
    } catch (error) {
      this.view.setState({
        problem: say`This browser keeps no runs here (${asPapilioError(error).message}): save them as a file before you close the page.`,
      });
      return [];
    }
  }

  /**
   * One after the other, so that the newest is what stays; what goes wrong is said, and the runs are still on the page.
   *
   * @param key of the run that is written
   */
  write(task: (database: RunDatabase) => Promise<unknown>, key?: string): Promise<void> {
    this.writing = this.writing
      .then(() => task(this.database))
      .then(() => {
        if (key !== undefined) this.saved(key);
        return this.measure();
      })
      .catch((error: unknown) => {
        if (key !== undefined) this.unsaved.add(key);
        this.view.setState({
          problem: say`The browser could not keep the runs (${asPapilioError(error).message}). They are still here: save them as a file, or delete some.`,
        });
      });
    return this.writing;
  }

  /** Of this run nothing is unsaved any more; with the last such one the problem is gone. */
  private saved(key: string): void {
    if (this.unsaved.delete(key) && this.unsaved.size === 0) this.view.setState({ problem: null });
  }

  /** Writes a run, with its curve where that is at hand. */
  keep(run: RunRecord, given: KeptCurve | null = null): Promise<void> {
    const curve = given ?? (run.series.length > 0 ? curveOf(run.series) : null);
    if (curve !== null) this.points.set(run.key, curve.columns.step.length);
    const kept = keptOf(run, this.points.get(run.key) ?? 0);
    if (kept === null) return Promise.resolve();
    return this.write(async (database) => {
      await database.put(kept, curve);
      await this.tidy();
    }, run.key);
  }

  /** Forgets runs; those for which there was no room are tried again. */
  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.saved(key);
    await this.write((database) => database.remove(keys));
    const again = this.run.getState().runs.filter(({ key }) => this.unsaved.has(key));
    await Promise.all(again.map((one) => this.keep(one)));
  }

  /** A run as it is kept, from the page where that has it; null for one that has come to nothing. */
  async whole(run: RunRecord): Promise<WholeRun | null> {
    const curve = run.series.length > 0 ? curveOf(run.series) : await this.curve(run.key);
    const kept = keptOf(run, curve?.columns.step.length ?? 0);
    return kept && { run: kept, curve };
  }

  /** A kept curve; null where there is none. */
  curve(key: string): Promise<KeptCurve | null> {
    return this.database.curve(key).catch(() => null);
  }

  /** Curves of runs with many newer ones are thinned; beyond what is kept, the oldest goes, and last of all one with a note. */
  private async tidy(): Promise<void> {
    const { runs, current } = this.run.getState();
    const kept = runs.filter(({ id, outcome }) => id !== ELSEWHERE && outcome !== null);
    const newest = [...kept].sort((a, b) => b.startedAt - a.startedAt);
    for (const one of newest.slice(WHOLE_CURVES)) await this.thin(one);
    const { baseline } = this.view.getState();
    const gone = newest
      .reverse()
      .filter(({ key }) => key !== baseline && key !== current?.key)
      .sort((a, b) => Number(a.note !== '') - Number(b.note !== ''))
      .slice(0, Math.max(0, newest.length - MOST_RUNS));
    if (gone.length === 0) return;
    const keys = new Set(gone.map(({ key }) => key));
    this.run.setState((s) => ({ runs: s.runs.filter(({ key }) => !keys.has(key)) }));
    await this.database.remove([...keys]);
  }

  private async thin(run: RunRecord): Promise<void> {
    if ((this.points.get(run.key) ?? 0) <= FEW_POINTS) return;
    const curve = await this.database.curve(run.key);
    const fewer = curve && thinned(curve, FEW_POINTS);
    const points = fewer?.columns.step.length ?? 0;
    this.points.set(run.key, points);
    const kept = keptOf(run, points);
    if (kept !== null) await this.database.put(kept, fewer);
  }
}
