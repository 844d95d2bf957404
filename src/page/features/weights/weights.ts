/**
 * What the Weights tab asks the trainer, and what it keeps of the answers: the run with other weights, the newest wish first; a module's weight
 * before and after, of every run of this page; and how much of the base's own task each still knows.
 */
import { createStore } from 'zustand/vanilla';
import { say } from '../../../common.ts';
import type { MethodId } from '../../../methods.ts';
import type { Forgetting, TrainerApi, WeightReport } from '../../../protocol.ts';
import type { Page } from '../../page.ts';
import type { Stores } from '../../stores.ts';
import { createTask, type TaskView } from '../../task.ts';
import type { Questions } from '../inspect/inspection.ts';
import { untouched, WhatIfQuestions, type WhatIfView } from './whatIf.ts';

/** Which run something was measured of. */
interface OfRun {
  readonly run: number;
  readonly name: string;
  readonly method: MethodId;
  /** Numbers that its adapter trains. */
  readonly trainable: number;
  readonly step: number;
}

export type Looked = OfRun & WeightReport;
export type Known = OfRun & { readonly own: Forgetting | null };

export interface LookedView extends TaskView {
  readonly rows: readonly Looked[];
}

export interface KnownView extends TaskView {
  readonly rows: readonly Known[];
}

export type Weights = ReturnType<typeof createWeights>;

type Trainer = Pick<TrainerApi, 'whatIf' | 'weights' | 'forgetting' | 'stopLooking'>;

export function createWeights(stores: Stores, trainer: Trainer, questions: Questions) {
  const whatIf = createStore<WhatIfView>(() => untouched);
  const looked = createStore<LookedView>(() => ({ busy: null, error: null, rows: [] }));
  const known = createStore<KnownView>(() => ({ busy: null, error: null, rows: [] }));
  const [looking, measuring] = [createTask(looked), createTask(known)];
  questions.onOtherRun(() => {
    looking.leave();
    measuring.leave();
    looked.setState({ busy: null });
    known.setState({ busy: null });
  });
  return {
    whatIf,
    moving: new WhatIfQuestions(stores, whatIf, trainer, questions),
    looked,
    known,
    /** Looks at a module's weight before and after. */
    async look(module: string): Promise<void> {
      const of = ofRun(stores);
      if (of === null) return;
      await looking.run({ busy: module, error: null }, async () => {
        const { step, value } = await trainer.weights(module);
        const row: Looked = { ...of, step, ...value };
        const others = looked.getState().rows.filter((r) => r.run !== of.run || r.module !== module);
        return { rows: [...others, row] };
      });
    },
    async stopLooking(): Promise<void> {
      looking.leave();
      looked.setState({ busy: null });
      await trainer.stopLooking();
    },
    /** Measures how the base's own task goes. */
    async measure(): Promise<void> {
      const of = ofRun(stores);
      if (of === null) return;
      await measuring.run({ busy: say`Measuring`, error: null }, async () => {
        const { step, value: own } = await trainer.forgetting();
        const others = known.getState().rows.filter(({ run }) => run !== of.run);
        return { rows: [...others, { ...of, step, own }] };
      });
    },
  };
}

/** The open run; null where there is none. */
function ofRun({ run }: Stores): Omit<OfRun, 'step'> | null {
  const { current, open } = run.getState();
  if (current === null || open === null) return null;
  return {
    run: current.id,
    name: current.name,
    method: current.settings.method,
    trainable: open.counts.trainable.free,
  };
}

const made = new WeakMap<Page, Weights>();

/** Those of a page, made when the tab first opens. */
export function weightsOf(page: Page): Weights {
  const known = made.get(page) ?? createWeights(page, page.trainer, page.questions);
  made.set(page, known);
  return known;
}
