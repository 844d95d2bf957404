/** What of a run's settings may change while it goes on from the step that it has come to. */
import type { ModelReport } from '../../../protocol.ts';
import { type PageSettings, runTraining } from '../setup/settings.ts';

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
