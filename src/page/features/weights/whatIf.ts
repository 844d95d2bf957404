/** The open run with other weights, for as long as something is moved: what is asked, the newest wish first, and what came of it. */
import type { StoreApi } from 'zustand/vanilla';
import type {
  BeforeAfter,
  EvalMetric,
  Inspection,
  OfStep,
  TrainerApi,
  WhatIf,
  WhatIfAnswer,
  WhatIfRequest,
} from '../../../protocol.ts';
import type { Stores } from '../../stores.ts';
import type { Questions } from '../inspect/inspection.ts';
import { type Measured, stations, strengthsAt, type Way, withPoint } from './back.ts';
import { AS_TRAINED, isEdited, type Spectrum, type SpectrumEdit, valuesOf } from './spectrum.ts';

/** Held-out examples that a score is of while something is moved. */
export const SCORED = 128;
/** Examples that both models answer meanwhile, and tokens that they write. */
const ANSWERED = 8;
const WRITTEN = 24;

export interface BackView {
  readonly way: Way;
  /** Where the slider is. */
  readonly at: number;
  /** How many strengths the adapter has; null until it was asked, 0 where nothing can go back. */
  readonly count: number | null;
  /** What the run said last, and where. */
  readonly answer: {
    readonly way: Way;
    readonly at: number;
    readonly step: number;
    readonly metric: EvalMetric;
    readonly inspection: Inspection | null;
  } | null;
  readonly answers: { readonly at: number; readonly comparison: BeforeAfter } | null;
  readonly points: readonly Measured[];
  readonly isSweeping: boolean;
}

export interface SpectrumView {
  readonly module: string | null;
  readonly edit: SpectrumEdit;
  /** With the moved coefficients; null while there are none. */
  readonly answer: {
    readonly step: number;
    readonly inspection: Inspection;
    readonly metric: EvalMetric;
  } | null;
  /** The score as trained. */
  readonly trained: EvalMetric | null;
}

export interface WhatIfView {
  readonly isAsking: boolean;
  readonly back: BackView;
  readonly spectrum: SpectrumView;
}

/** Before anything was asked of a run. */
export const untouched: WhatIfView = {
  isAsking: false,
  back: { way: 'together', at: 1, count: null, answer: null, answers: null, points: [], isSweeping: false },
  spectrum: { module: null, edit: AS_TRAINED, answer: null, trained: null },
};

/** Runs the newest of what was wished; what was wished before it and has not begun is never done. */
export function newest<Wish>(task: (wish: Wish) => Promise<unknown>) {
  let next: { readonly wish: Wish } | null = null;
  let running: Promise<void> | null = null;
  /** Which loop may go on. */
  let turn = 0;
  const run = async (mine: number) => {
    while (next !== null && mine === turn) {
      const { wish } = next;
      next = null;
      await task(wish);
    }
    if (mine === turn) running = null;
  };
  return {
    wish(wish: Wish): Promise<void> {
      next = { wish };
      running ??= run(turn);
      return running;
    },
    /** Waits no longer for what is under way: its answer may never come. */
    forget(): void {
      turn++;
      next = null;
      running = null;
    },
  };
}

interface Place {
  readonly way: Way;
  readonly at: number;
  readonly module: string | null;
}

interface Moved {
  readonly module: string;
  readonly own: Spectrum;
  readonly edit: SpectrumEdit;
}

/** What is moved, and asked of the open run because of it. */
export class WhatIfQuestions {
  readonly #stores: Stores;
  readonly #view: StoreApi<WhatIfView>;
  readonly #trainer: Pick<TrainerApi, 'whatIf'>;
  readonly #questions: Questions;
  #sweeps = 0;

  constructor(
    stores: Stores,
    view: StoreApi<WhatIfView>,
    trainer: Pick<TrainerApi, 'whatIf'>,
    questions: Questions,
  ) {
    this.#stores = stores;
    this.#view = view;
    this.#trainer = trainer;
    this.#questions = questions;
    questions.onOtherRun(() => {
      this.#follow.forget();
      this.#followSpectrum.forget();
      this.#sweeps++;
      view.setState(untouched);
    });
  }

  /** Moves the slider; the run follows. */
  goTo(at: number, module: string | null): Promise<void> {
    this.#back({ at });
    return this.#follow.wish({ way: this.#view.getState().back.way, at, module });
  }

  /** Goes the other way, to the same place. */
  goBy(way: Way, module: string | null): Promise<void> {
    this.#back({ way });
    return this.#follow.wish({ way, at: this.#view.getState().back.at, module });
  }

  /** Measures the curve, station by station, until it is stopped. */
  async sweep(): Promise<void> {
    const { way, count, isSweeping } = this.#view.getState().back;
    if (isSweeping || count === null || count === 0) return;
    const mine = ++this.#sweeps;
    this.#back({ isSweeping: true });
    for (const at of stations(way, count)) {
      if (mine !== this.#sweeps) return;
      await this.#measure({ way, at, module: null });
    }
    if (mine === this.#sweeps) this.stopSweep();
  }

  stopSweep(): void {
    this.#sweeps++;
    this.#back({ isSweeping: false });
  }

  /** A module's spectrum as it is moved; the run follows. */
  editSpectrum(module: string, own: Spectrum, edit: SpectrumEdit): Promise<void> {
    const isOther = this.#view.getState().spectrum.module !== module;
    this.#spectrum({ module, edit, ...(isOther ? { answer: null, trained: null } : {}) });
    return this.#followSpectrum.wish({ module, own, edit });
  }

  readonly #follow = newest(async (place: Place) => {
    await this.#measure(place);
    // Where the slider is no more, nobody waits for answers.
    if (this.#view.getState().back.at === place.at) await this.#compare(place);
  });

  readonly #followSpectrum = newest(async ({ module, own, edit }: Moved) => {
    const change: WhatIf = isEdited(edit) ? { spectrum: { module, values: valuesOf(own, edit) } } : {};
    await this.#asking({ change, module, scored: SCORED }, ({ step, value: { inspection, metric } }) => {
      if (inspection === null || metric === null) return;
      if (this.#view.getState().spectrum.module !== module) return;
      this.#spectrum(
        isEdited(edit) ? { answer: { step, inspection, metric } } : { answer: null, trained: metric },
      );
    });
  });

  #back(change: Partial<BackView>): void {
    this.#view.setState((s) => ({ back: { ...s.back, ...change } }));
  }

  #spectrum(change: Partial<SpectrumView>): void {
    this.#view.setState((s) => ({ spectrum: { ...s.spectrum, ...change } }));
  }

  /** Asks the open run; what it says once it has ended is not heard. */
  async #asking(request: WhatIfRequest, hear: (answer: OfStep<WhatIfAnswer>) => void): Promise<void> {
    const { run } = this.#stores;
    const { open } = run.getState();
    this.#view.setState({ isAsking: true });
    await this.#questions.ask(null, async () => {
      const answer = await this.#trainer.whatIf(request);
      if (run.getState().open === open) hear(answer);
    });
    if (run.getState().open === open) this.#view.setState({ isAsking: false });
  }

  /** Strengths to ask for; none while it is not known how many there are, which is then the run as trained. */
  #changeAt({ way, at }: Place): WhatIf {
    const { count } = this.#view.getState().back;
    return count === null || count === 0 ? {} : { strengths: strengthsAt(way, at, count) };
  }

  async #measure(place: Place): Promise<void> {
    const { way, module } = place;
    const change = this.#changeAt(place);
    const at = change.strengths ? place.at : 1;
    const request = { change, scored: SCORED, ...(module === null ? {} : { module }) };
    await this.#asking(request, ({ step, value: { metric, inspection, strengths: count } }) => {
      if (metric === null) return;
      const { points, isSweeping } = this.#view.getState().back;
      this.#back({
        count,
        points: withPoint(points, { way, at, metric }),
        ...(isSweeping ? {} : { answer: { way, at, step, metric, inspection } }),
      });
    });
  }

  /** Both models' answers at a place. */
  async #compare(place: Place): Promise<void> {
    const { sampleSeed: seed, temperature, prompt } = this.#stores.ui.getState();
    const asked = { seed, temperature, examples: ANSWERED, maxTokens: WRITTEN };
    const compared = prompt === '' ? asked : { ...asked, prompt };
    await this.#asking({ change: this.#changeAt(place), compared }, ({ value: { comparison } }) => {
      if (comparison !== null) this.#back({ answers: { at: place.at, comparison } });
    });
  }
}
