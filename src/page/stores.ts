/** The page's state, three vanilla stores readable without React. Curves live in each run's series, never in a store. */
import { createStore } from 'zustand/vanilla';
import type { ErrorReport, InputFile } from '../common.ts';
import type {
  BeforeAfter,
  Inspection,
  MergeReport,
  OfStep,
  OpenReport,
  ParityReport,
  Progress,
  RunRequest,
  RunState,
  TrainerApi,
} from '../protocol.ts';
import { createChoice } from './features/setup/choice.ts';
import type { RunRecord } from './features/training/runs.ts';
import type { SavedSession } from './features/training/sessions.ts';
import type { LessonView } from './lessons/state.ts';
import type { GpuSupport } from './webgpu.ts';

export interface MergeResult {
  readonly onnx: Blob;
  /** Of the file. */
  readonly inputs: MergeReport['inputs'];
  readonly outputs: MergeReport['outputs'];
  readonly written: MergeReport['written'];
  readonly sidecars: readonly InputFile[];
  readonly changed: readonly string[];
  /** How it was found; null while that is being found out. */
  readonly parity: ParityReport | null;
  readonly step: number;
}

interface ErrorView {
  readonly report: ErrorReport;
  readonly canResume: boolean;
  /** How often this run has lost its device, with this. */
  readonly losses: number;
}

/** A run as it was before it was reset. */
export interface UndoView {
  readonly run: RunRecord;
  readonly request: RunRequest;
  /** Of its checkpoint. */
  readonly bytes: Uint8Array;
  readonly step: number;
  /** What was said when it was reset. */
  readonly notice: string;
  /** What was reset before it and can be taken back next. */
  readonly older: UndoView | null;
}

export interface RunView {
  readonly state: RunState;
  readonly current: RunRecord | null;
  readonly request: RunRequest | null;
  readonly open: OpenReport | null;
  /** Submits of the latest step heard of. */
  readonly submits: number | null;
  readonly runs: readonly RunRecord[];
  readonly progress: Readonly<Partial<Record<Progress['clock'], Progress>>>;
  readonly error: ErrorView | null;
  /** What the trainer is asked for besides training, e.g. "Merging". */
  readonly busy: string | null;
  readonly comparison: OfStep<BeforeAfter> | null;
  readonly inspection: OfStep<Inspection> | null;
  /** Whether both models, or the inside of one, are being asked anew. */
  readonly isComparing: boolean;
  readonly isInspecting: boolean;
  readonly merged: MergeResult | null;
  /** The Python project, to be read about before it is saved. */
  readonly python: (Awaited<ReturnType<TrainerApi['continueInPython']>> & { readonly step: number }) | null;
  readonly checkpoint: { readonly bytes: Uint8Array; readonly step: number; readonly at: number } | null;
  readonly saved: SavedSession | null;
  /** Why what the browser keeps cannot be gone on with. */
  readonly savedProblem: string | null;
  /** Whether the browser keeps this run: not where another tab's is kept. */
  readonly isKept: boolean;
  readonly undo: UndoView | null;
  /** Length of the series when training last began in this sitting; the steps after it warm up. */
  readonly since: number;
}

export type PanelName = 'choose' | 'train' | 'see';
export type SeeTab = 'compare' | 'inside' | 'weights' | 'merge' | 'adapters' | 'methods' | 'runs';
/** What a first visitor is led to: the button that trains, and tabs of See. */
export type Guided = 'train' | 'compare' | 'merge';
export type XAxis = 'step' | 'examples' | 'seconds';

export interface UiState {
  readonly panel: PanelName;
  readonly seeTab: SeeTab;
  /** Somebody has pressed, scrolled or typed in See: it stays as it is. */
  readonly isSeeUsed: boolean;
  /** Answers of a run have come that were not looked at. */
  readonly isCompareNew: boolean;
  /** The control that is marked for a first visitor. */
  readonly next: Guided | null;
  readonly theme: 'system' | 'light' | 'dark';
  /** The theme in force. */
  readonly scheme: 'light' | 'dark';
  readonly isHelpOpen: boolean;
  /** What this page is, above everything. */
  readonly isStartOpen: boolean;
  readonly smoothing: number;
  readonly isLogY: boolean;
  readonly xAxis: XAxis;
  /** Module shown inside; null: the first target. */
  readonly module: string | null;
  /** How many factors are multiplied in the composed picture; null: all. */
  readonly factors: number | null;
  readonly prompt: string;
  readonly sampleSeed: number;
  readonly temperature: number;
  readonly gpu: GpuSupport | null;
  /** A short message and, if it can be undone, that. */
  readonly notice: string | null;
  /** The lesson of the link; fresh while its start is still to be taken. */
  readonly lesson: (LessonView & { readonly isFresh: boolean }) | null;
}

/** Whether a run is being opened. */
export const isOpening = (state: RunState): boolean => state === 'loading' || state === 'compiling';
/** Whether a run is being opened or trains: what wants the machine to itself waits. */
export const isUnderWay = (state: RunState): boolean => state === 'running' || isOpening(state);

export const emptyRun: Omit<RunView, 'runs' | 'saved' | 'savedProblem'> = {
  state: 'idle',
  current: null,
  request: null,
  open: null,
  submits: null,
  progress: {},
  error: null,
  busy: null,
  comparison: null,
  inspection: null,
  isComparing: false,
  isInspecting: false,
  merged: null,
  python: null,
  checkpoint: null,
  undo: null,
  isKept: true,
  since: 0,
};

export function createStores() {
  const choice = createChoice();
  const run = createStore<RunView>(() => ({ ...emptyRun, runs: [], saved: null, savedProblem: null }));
  const ui = createStore<UiState>(() => ({
    panel: 'train',
    seeTab: 'inside',
    isSeeUsed: false,
    isCompareNew: false,
    next: null,
    theme: 'system',
    scheme: 'light',
    isHelpOpen: false,
    isStartOpen: false,
    smoothing: 0.9,
    isLogY: false,
    xAxis: 'step',
    module: null,
    factors: null,
    prompt: '',
    sampleSeed: 1,
    temperature: 0.8,
    gpu: null,
    notice: null,
    lesson: null,
  }));
  return { choice, run, ui };
}

export type Stores = ReturnType<typeof createStores>;
