/** The labs, in the order in which the start page leads through them. */
import { type ComponentType, lazy } from 'react';
import { say } from '../../common.ts';
import type { EngineName } from '../../protocol.ts';
import { BUTTERFLY_CONTROLS, BUTTERFLY_QUANTITIES } from './butterfly/settings.ts';
import { CAYLEY_CONTROLS, CAYLEY_QUANTITIES } from './cayley/settings.ts';
import type { Control, Quantity, Values } from './controls.ts';
import { FIRST_CONTROLS, FIRST_QUANTITIES } from './first/settings.ts';
import { FORGETTING_CONTROLS, FORGETTING_QUANTITIES } from './forgetting/settings.ts';
import { FOURIER_CONTROLS, FOURIER_QUANTITIES } from './fourier/settings.ts';
import { SHADER_CONTROLS, SHADER_QUANTITIES } from './shader/settings.ts';

export interface LabEntry {
  readonly id: string;
  readonly title: () => string;
  /** What one learns in it, in a sentence or two. */
  readonly what: () => string;
  readonly minutes: number;
  /** A page of the textbook; else it is a lab. */
  readonly isPage?: true;
  readonly controls: readonly Control[];
  readonly quantities: readonly Quantity[];
  /** The one engine that it runs on; absent where the reader may choose. */
  readonly engine?: EngineName;
  /** Seconds that its run takes on this machine with an engine, found by timing parts of it; absent where nothing runs. */
  readonly seconds?: (values: Values, engine: EngineName) => Promise<number>;
  /** What of it is timed, where that is not all of a run. */
  readonly timed?: () => string;
  readonly View: ComponentType;
}

export const LABS: readonly LabEntry[] = [
  {
    id: 'cayley',
    title: () => say`A rotation from free numbers`,
    what: () =>
      say`Any numbers, put into a skew-symmetric matrix, make a rotation. See which one, how exact it is, and what the short series gives in its place.`,
    minutes: 10,
    controls: CAYLEY_CONTROLS,
    quantities: CAYLEY_QUANTITIES,
    seconds: async (...of) => (await import('./seconds.ts')).cayleySeconds(...of),
    timed: () => say`one answer`,
    View: lazy(() => import('./cayley/CayleyLab.tsx')),
  },
  {
    id: 'butterfly',
    title: () => say`Butterfly against block-diagonal`,
    what: () =>
      say`Fit the same rotation in both ways, by gradient descent, and see how close each comes for as many numbers.`,
    minutes: 15,
    controls: BUTTERFLY_CONTROLS,
    quantities: BUTTERFLY_QUANTITIES,
    seconds: async (...of) => (await import('./seconds.ts')).butterflySeconds(...of),
    View: lazy(() => import('./butterfly/ButterflyLab.tsx')),
  },
  {
    id: 'fourier',
    title: () => say`Fourier against low rank`,
    what: () =>
      say`Fit a change of a weight by LoRA and by FourierFT with as many numbers, and see what each is made for.`,
    minutes: 15,
    controls: FOURIER_CONTROLS,
    quantities: FOURIER_QUANTITIES,
    seconds: async (...of) => (await import('./seconds.ts')).fourierSeconds(...of),
    View: lazy(() => import('./fourier/FourierLab.tsx')),
  },
  {
    id: 'first',
    title: () => say`Your first fine-tuning`,
    what: () =>
      say`Teach a small vision model letters that it has never seen, in this tab: look at them, train a new head, then a method of your choice, and try what came out.`,
    minutes: 20,
    controls: FIRST_CONTROLS,
    quantities: FIRST_QUANTITIES,
    seconds: async (...of) => (await import('./seconds.ts')).firstSeconds(...of),
    View: lazy(() => import('./first/FirstLab.tsx')),
  },
  {
    id: 'forgetting',
    title: () => say`What is kept and what is forgotten`,
    what: () =>
      say`Small networks that know one task learn another, by four methods and by full fine-tuning. See what that does to the angles between their neurons, and to the old task.`,
    minutes: 15,
    controls: FORGETTING_CONTROLS,
    quantities: FORGETTING_QUANTITIES,
    seconds: async (...of) => (await import('./seconds.ts')).forgettingSeconds(...of),
    View: lazy(() => import('./forgetting/ForgettingLab.tsx')),
  },
  {
    id: 'shader',
    engine: 'webgpu',
    title: () => say`The shader`,
    what: () =>
      say`Read the program that a GPU runs, beside its formula and its picture. Change a line, run it, and see which cells come out wrong.`,
    minutes: 15,
    controls: SHADER_CONTROLS,
    quantities: SHADER_QUANTITIES,
    seconds: async (...of) => (await import('./seconds.ts')).shaderSeconds(...of),
    timed: () => say`one press of Run`,
    View: lazy(() => import('./shader/ShaderLab.tsx')),
  },
];
