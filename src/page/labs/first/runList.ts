/** The runs of the lab as a list, each as it was begun or gone on with, the newest last; and what each is called and looks like beside the others. */
import { facts, say } from '../../../common.ts';
import type { EvalMetric, ImageBeforeAfter, OpenReport, RunRequest, StepMetric } from '../../../protocol.ts';
import { methodTitle, real } from '../../format.ts';
import type { PlotLine } from '../Plot.tsx';
import type { FirstMethod } from './settings.ts';
import type { Which } from './setup.ts';

export interface FirstRun {
  readonly which: Which;
  /** Which one of its kind it is, from 0 on, for as long as the lab is on screen. */
  readonly nth: number;
  readonly request: RunRequest;
  readonly open: OpenReport | null;
  readonly steps: readonly StepMetric[];
  readonly evals: readonly EvalMetric[];
  /** What it says of the asked letters, once it has ended or been paused. */
  readonly answers: ImageBeforeAfter | null;
  /** What it can go on from, once it has been paused; null before, and when it has ended. */
  readonly paused: Uint8Array | null;
}

export type FirstRunList = readonly FirstRun[];

export const keyOf = ({ which, nth }: Pick<FirstRun, 'which' | 'nth'>): string => `${which}-${nth}`;

export const newestOf = (runs: FirstRunList, which: Which): FirstRun | undefined =>
  runs.findLast((run) => run.which === which);

/** Those of a kind that a newer one has followed. */
export const earlierOf = (runs: FirstRunList, which: Which): FirstRunList =>
  runs.filter((run) => run.which === which).slice(0, -1);

export const stepOf = ({ steps }: FirstRun): number => steps.at(-1)?.step ?? 0;

/** The list with one more: in the place of what was never open, and of what has ended with the same settings, whose curve is the same. */
export const begun = (runs: FirstRunList, run: FirstRun): FirstRunList => [
  ...runs.filter((other) => other.paused !== null || (other.open !== null && !isAlike(other, run))),
  run,
];

const isAlike = (a: FirstRun, b: FirstRun): boolean =>
  a.which === b.which && JSON.stringify(a.request) === JSON.stringify(b.request);

/** Of a method's configuration, the fields that size it, with their symbols. */
const SIZES: Readonly<Record<FirstMethod | 'head', readonly (readonly [field: string, symbol: string])[]>> = {
  head: [],
  lora: [['r', 'r']],
  oft: [['oft_block_size', 'b']],
  boft: [
    ['boft_block_size', 'b'],
    ['boft_n_butterfly_factor', 'm'],
  ],
  fourierft: [['n_frequency', 'n']],
};

/** What runs of one method can differ in: as many of each, in the same order. */
function settingsIn({ request }: FirstRun): string[] {
  const { method, config, training, ownRate } = request;
  return [
    ...SIZES[method as keyof typeof SIZES].map(([field, symbol]) => `${symbol} ${String(config[field])}`),
    say`${training.steps} steps`,
    ownRate ? say`its own rate` : say`rate ${real(training.learningRate)}`,
    say`seed ${training.seed}`,
    request.engine ?? say`engine by itself`,
  ];
}

/** The method, with what tells the run from the others of it. */
function called(name: string, run: FirstRun, runs: FirstRunList): string {
  const others = runs.filter((one) => one !== run && one.request.method === run.request.method);
  const own = settingsIn(run);
  const differing = own.filter((setting, i) => others.some((one) => settingsIn(one)[i] !== setting));
  // The same settings again, while the first is paused.
  const isTwin = others.some((one) => settingsIn(one).every((setting, i) => setting === own[i]));
  const telling = [...differing, ...(isTwin ? [say`run ${run.nth + 1}`] : [])];
  return telling.length === 0 ? name : say`${name} (${facts(telling)})`;
}

export const runName = (run: FirstRun, runs: FirstRunList): string =>
  called(run.which === 'head' ? say`the head alone` : methodTitle(run.request.method), run, runs);

/** At the beginning of a sentence. */
export const runTitle = (run: FirstRun, runs: FirstRunList): string =>
  called(run.which === 'head' ? say`The head alone` : methodTitle(run.request.method), run, runs);

type Look = Required<Pick<PlotLine, 'color' | 'dash' | 'mark'>>;

/** Heads are squares and adapters are not: colour alone tells no line from another. */
const LOOKS: Readonly<Record<Which, readonly Look[]>> = {
  head: [
    { color: '--line-2', dash: '7 4', mark: 'square' },
    { color: '--line-5', dash: '9 3 2 3', mark: 'square' },
  ],
  adapter: [
    { color: '--line-0', dash: 'none', mark: 'circle' },
    { color: '--line-1', dash: '2 4', mark: 'diamond' },
    { color: '--line-3', dash: '9 3 2 3', mark: 'circle' },
    { color: '--line-6', dash: '4 3', mark: 'diamond' },
    { color: '--line-4', dash: '12 4', mark: 'circle' },
    { color: '--line-7', dash: '2 2', mark: 'diamond' },
  ],
};

/** The same for as long as the run is there. */
export const lookOf = ({ which, nth }: FirstRun): Look => LOOKS[which][nth % LOOKS[which].length]!;
