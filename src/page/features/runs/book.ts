/**
 * The page's one list of runs, with those that the browser keeps: read when the page begins, followed while they train, named, noted, deleted
 * and taken back, saved as a file and read from one.
 */
import { createStore } from 'zustand/vanilla';
import { fail, paragraph, say } from '../../../common.ts';
import type { Stores } from '../../stores.ts';
import { drawnRuns, ELSEWHERE, freeLook, type RunRecord } from '../training/runs.ts';
import { createSeries } from '../training/series.ts';
import type { RunDatabase } from './database.ts';
import { followRuns } from './keeping.ts';
import { fillSeries, type KeptCurve, NAME_LETTERS, NOTE_LETTERS, recordOf } from './kept.ts';
import { MOST_RUNS, readRunsFile, runsFile, type WholeRun } from './runsFile.ts';
import { RunStorage, type StorageView } from './storage.ts';

const BASELINE = 'baseline';

export interface BookView extends StorageView {
  /** What the browser keeps has been read. */
  readonly isLoaded: boolean;
  /** What came of the last file or deletion: a sentence. */
  readonly said: string | null;
  /** Key of the run that is pointed out. */
  readonly selected: string | null;
  /** What was deleted last. */
  readonly deleted: readonly Deleted[];
}

interface Deleted {
  readonly run: RunRecord;
  readonly curve: KeptCurve | null;
}

const howMany = (n: number): string => (n === 1 ? say`1 run` : say`${n} runs`);

export class RunBook {
  readonly view = createStore<BookView>(() => ({
    ...{ isLoaded: false, problem: null, said: null },
    ...{ baseline: null, selected: null, deleted: [] },
  }));
  private readonly storage: RunStorage;
  /** Numbers of runs that were not begun in this sitting. */
  private nextId = ELSEWHERE - 1;
  /** Keys of those whose curve has been asked for. */
  private readonly asked = new Set<string>();

  constructor(
    private readonly run: Stores['run'],
    database: RunDatabase,
    measure: () => Promise<void>,
  ) {
    this.storage = new RunStorage(run, this.view, database, measure);
    followRuns(run, (one) => void this.storage.keep(one));
    run.subscribe((now, before) => {
      if (now.runs !== before.runs || now.current !== before.current) this.loadCurves();
    });
  }

  async load(): Promise<void> {
    const kept = await this.storage.load();
    this.add(kept.map((one) => recordOf(one, this.nextId--)));
    await this.storage.write(async (database) => {
      const baseline = await database.note(BASELINE);
      if (typeof baseline === 'string') this.view.setState({ baseline });
    });
    this.view.setState({ isLoaded: true });
  }

  rename(key: string, name: string): void {
    const words = name.trim().slice(0, NAME_LETTERS);
    if (words !== '') this.change(key, { name: words });
  }

  note(key: string, note: string): void {
    this.change(key, { note: note.slice(0, NOTE_LETTERS) });
  }

  /** @param peakBytes of memory, measured apart from the run */
  measured(key: string, peakBytes: number): void {
    const outcome = this.run.getState().runs.find((one) => one.key === key)?.outcome ?? null;
    if (outcome !== null)
      this.change(key, { outcome: { ...outcome, figures: { ...outcome.figures, peakBytes } } });
  }

  select(key: string | null): void {
    this.view.setState({ selected: key });
  }

  /** Draws a run or leaves it out. A line that is drawn beside others has a look of its own. */
  draw(key: string, isShown: boolean): void {
    const { runs, current } = this.run.getState();
    const others = drawnRuns(runs, current?.id).filter((one) => one.key !== key);
    this.run.setState({
      runs: runs.map((one) => {
        if (one.key !== key) return one;
        const isTaken = isShown && others.some(({ look }) => look === one.look);
        return { ...one, isShown, look: isTaken ? freeLook(others) : one.look };
      }),
    });
  }

  setBaseline(key: string | null): void {
    this.view.setState({ baseline: key });
    void this.storage.write((database) => database.setNote(BASELINE, key));
  }

  /** Deletes runs that are over; the last that were can be taken back. */
  async remove(keys: readonly string[]): Promise<void> {
    const { runs, current } = this.run.getState();
    const gone = runs.filter(({ key, id }) => keys.includes(key) && key !== current?.key && id !== ELSEWHERE);
    if (gone.length === 0) return;
    const deleted = await Promise.all(
      gone.map(async (run) => ({ run, curve: (await this.storage.whole(run))?.curve ?? null })),
    );
    this.run.setState((s) => ({ runs: s.runs.filter(({ id }) => !gone.some((one) => one.id === id)) }));
    const what = gone.length === 1 ? gone[0]!.name : howMany(gone.length);
    this.view.setState({ deleted, said: say`Deleted ${what}.` });
    await this.storage.remove(gone.map(({ key }) => key));
  }

  async undoRemove(): Promise<void> {
    const { deleted } = this.view.getState();
    this.view.setState({ deleted: [], said: null });
    for (const { run, curve } of deleted) if (curve !== null) fillSeries(run.series, curve);
    this.add(deleted.map(({ run }) => run));
    await Promise.all(deleted.map(({ run, curve }) => this.storage.keep(run, curve)));
  }

  forgetSaid(): void {
    this.view.setState({ said: null, deleted: [] });
  }

  /** Every run that has come to something, with its curve. */
  async file(): Promise<string> {
    const { runs } = this.run.getState();
    const whole = await Promise.all(
      runs.filter(({ id }) => id !== ELSEWHERE).map((one) => this.storage.whole(one)),
    );
    return runsFile(whole.filter((one) => one !== null));
  }

  /** Takes the runs of a file that are not here yet. @throws PapilioError that says why it takes none */
  async open(bytes: Uint8Array, name: string): Promise<void> {
    const here = new Set(this.run.getState().runs.map(({ key }) => key));
    const read = readRunsFile(bytes, name);
    const byKey = new Map<string, WholeRun>();
    for (const one of read)
      if (!here.has(one.run.key) && !byKey.has(one.run.key)) byKey.set(one.run.key, one);
    const fresh = [...byKey.values()].sort((a, b) => b.run.startedAt - a.run.startedAt);
    const room = Math.max(0, MOST_RUNS - here.size);
    if (fresh.length > 0 && room === 0)
      fail(
        'too-large',
        say`${name} holds ${howMany(fresh.length)} that are not here, and ${MOST_RUNS} are kept at most; delete some first.`,
      );
    // The oldest first, as they were kept.
    const taken = fresh.slice(0, room).reverse();
    const added = taken.map(({ run, curve }) => {
      const record = recordOf(run, this.nextId--);
      const series = createSeries();
      // At once: where the browser has no room for it, the page still has it.
      if (curve !== null) fillSeries(series, curve);
      return { record: { ...record, series }, curve };
    });
    this.add(added.map(({ record }) => record));
    const were = read.length - fresh.length;
    const over = fresh.length - room;
    const parts = [
      say`Added ${howMany(taken.length)} from ${name}.`,
      ...(were === 0
        ? []
        : [
            were === 1
              ? say`1 of it was here already and stayed.`
              : say`${were} of it were here already and stayed.`,
          ]),
      ...(over <= 0 ? [] : [say`The oldest ${over} are left out, since ${MOST_RUNS} are kept at most.`]),
    ];
    this.view.setState({ deleted: [], said: paragraph(parts) });
    await Promise.all(added.map(({ record, curve }) => this.storage.keep(record, curve)));
  }

  /** Something small that is kept beside the runs. */
  keptNote(name: string): Promise<unknown> {
    let value: unknown;
    return this.storage
      .write(async (database) => {
        value = await database.note(name);
      })
      .then(() => value);
  }

  keepNote(name: string, value: unknown): Promise<void> {
    return this.storage.write((database) => database.setNote(name, value));
  }

  /** Changes one run, wherever it stands, and keeps it. */
  change(key: string, patch: Partial<Pick<RunRecord, 'name' | 'note' | 'sweep' | 'outcome'>>): void {
    const old = this.run.getState().runs.find((one) => one.key === key);
    if (old === undefined) return;
    const now = { ...old, ...patch };
    this.run.setState(({ runs, current }) => ({
      runs: runs.map((one) => (one.id === old.id ? now : one)),
      current: current?.key === key ? { ...current, ...patch } : current,
    }));
    void this.storage.keep(now);
  }

  /** Adds runs in the order they began in; of one that is here already, what the browser knew of it. */
  private add(records: readonly RunRecord[]): void {
    const known = new Map(records.map((one) => [one.key, one]));
    this.run.setState(({ runs }) => {
      const here = new Set(runs.map(({ key }) => key));
      const merged = runs.map((one) => {
        const old = one.outcome === null ? known.get(one.key) : undefined;
        if (old === undefined || one.id === ELSEWHERE) return one;
        const { startedAt, note, sweep, changed } = old;
        return { ...one, startedAt, note, sweep, changed };
      });
      return {
        runs: [...records.filter(({ key }) => !here.has(key)), ...merged].sort(
          (a, b) => a.startedAt - b.startedAt,
        ),
      };
    });
  }

  /** Reads the curves that are drawn and not here yet. */
  private loadCurves(): void {
    const { runs, current } = this.run.getState();
    for (const { key, id, series } of drawnRuns(runs, current?.id)) {
      if (id >= ELSEWHERE || series.length > 0 || this.asked.has(key)) continue;
      this.asked.add(key);
      void this.storage.curve(key).then((curve) => curve && fillSeries(series, curve));
    }
  }
}
