/** `papilio/protocol`: what is asked of a trainer and what it answers: settings, sources, requests, events and reports. Nothing here trains. */
export type { ColumnMapping } from './data/files/columns.ts';
export type { ExamplePreview, TokenPreview } from './data/preview.ts';
export type { QuantisedMerge } from './models/merge.ts';
export {
  CHECK_FIGURES,
  checkTitle,
  checkVerdict,
  type DeviceCheckEvent,
  type DeviceCheckReport,
  marginText,
  type OpCheckRow,
} from './training/checkReport.ts';
export { deviceCheckText } from './training/checkText.ts';
export { methodComparisonMarkdown, provenance, settingsText } from './training/comparisonTable.ts';
export { sizeOf } from './training/inputFiles.ts';
export type { SpeedReport } from './training/kernels.ts';
export { methodFacts, type Outcome, outcomeOf } from './training/outcome.ts';
export type { ParityReport } from './training/parity.ts';
export type {
  AdapterCommand,
  AdapterRow,
  AdapterScore,
  AdapterSetReport,
  BeforeAfter,
  CheckpointReport,
  DataOptions,
  DataPreview,
  DataReport,
  DataSource,
  EvalMetric,
  Forecast,
  ForecastReport,
  Forgetting,
  ImageBeforeAfter,
  Inspection,
  MergedOf,
  MergeReport,
  MethodComparisonEvent,
  MethodComparisonReport,
  MethodComparisonRequest,
  MethodRow,
  ModelReport,
  ModelSource,
  OfStep,
  OpenReport,
  Progress,
  RunRequest,
  RunState,
  StepMetric,
  Task,
  TextBeforeAfter,
  TextClassBeforeAfter,
  TextValueBeforeAfter,
  TokenOdds,
  TrainerApi,
  TrainerEvent,
  WayToFit,
  WeightReport,
  WhatIf,
  WhatIfAnswer,
  WhatIfRequest,
} from './training/protocol.ts';
export {
  FIXED_SETTINGS,
  learningRateAt,
  OPTIMIZERS,
  SCHEDULES,
  type TrainingSettings,
  trainingSchema,
} from './training/settings.ts';
export type { CachedFiles, SourceApi } from './training/sourceWorker.ts';
export type { TuningReport } from './training/tuning.ts';
export {
  ENGINE_TITLES,
  ENGINES,
  type EngineName,
  isMoreBetter,
  METRICS,
  metricText,
  scoredOn,
} from './training/words.ts';
