/** What of a run's settings may change while it goes on from the step that it has come to. */
import { METHODS } from '../../../methods.ts';
import { FIXED_SETTINGS, type ModelReport } from '../../../protocol.ts';
import type { RunView } from '../../stores.ts';
import { type ChoiceState, isOtherRun } from '../setup/choice.ts';
import { differingFields, type PageSettings, runTraining, sameValue } from '../setup/settings.ts';

const withTraining = (settings: PageSettings, change: Partial<PageSettings['training']>): PageSettings => ({
  ...settings,
  training: { ...settings.training, ...change },
});

/** Half the rate that the run took, which is not the one of the form where the model decided it. */
export const halvedRate = (settings: PageSettings, model: ModelReport | null): PageSettings =>
  withTraining(settings, { learningRate: runTraining(settings, model).learningRate / 2 });

/** The norm at which a gradient that grew too large is usually clipped. */
const USUAL_CLIP = 1;

/** Whether the gradient is not clipped at all, or later than usual. */
export const isClippedLate = ({ training: { maxGradNorm } }: PageSettings): boolean =>
  maxGradNorm === 0 || maxGradNorm > USUAL_CLIP;

export const clipped = (settings: PageSettings): PageSettings =>
  withTraining(settings, { maxGradNorm: USUAL_CLIP });

/**
 * Whether the run on screen can go on with what is chosen now: it differs in nothing that decides which examples come next or what the adapter is, and
 * leaves at least a step to train.
 */
export function canTakeUp({ current, request, open, state }: RunView, choice: ChoiceState): boolean {
  if (current === null || request === null || open === null) return false;
  const step = current.series.column('step').at(-1) ?? 0;
  if (step === 0 || !['running', 'paused', 'finished'].includes(state)) return false;
  if (request.adapter !== choice.startFrom?.files || isOtherRun(request, choice)) return false;
  const [was, is] = [current.settings, choice.settings];
  if (was.method !== is.method || !sameValue(was.config, is.config)) return false;
  const changed = differingFields({ ...was.training }, { ...is.training });
  const fixed: readonly string[] = [
    ...FIXED_SETTINGS,
    'epochs',
    // What the method fills in by the length of the run is a part of the adapter.
    ...(METHODS[is.method].forRun === undefined ? [] : ['steps']),
  ];
  const total = is.training.epochs > 0 ? open.totalSteps : is.training.steps;
  return changed.length > 0 && !changed.some((key) => fixed.includes(key)) && total > step;
}
