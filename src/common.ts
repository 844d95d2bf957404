/** `papilio/common`: errors as sentences with a kind, sentences in the reader's language, budgets, names and numbers. */
export { type Budget, createBudget, within } from './lib/budget.ts';
export { bytesOfBase64, type InputFile, type PickedFile } from './lib/bytes.ts';
export {
  asPapilioError,
  type ErrorKind,
  type ErrorReport,
  errorReport,
  fail,
  isFatal,
  PapilioError,
  passOn,
} from './lib/errors.ts';
export { anyAdapter } from './lib/gpuAdapter.ts';
export { heard, onHeard } from './lib/heard.ts';
export { jsonOf } from './lib/json.ts';
export { mark, symbolClass } from './lib/mark.ts';
export { closest, visible } from './lib/names.ts';
export { degreesOf, greatest, least, median } from './lib/numbers.ts';
export { rng } from './lib/rng.ts';
export {
  anyOf,
  facts,
  fixed,
  gap,
  inEnglish,
  type Language,
  language,
  listOf,
  local,
  onLanguage,
  paragraph,
  pieces,
  say,
  speak,
  whole,
} from './lib/say.ts';
export { isSoftwareAdapter } from './lib/softwareAdapter.mjs';
export { ASKED_ANEW, isEnded, PATIENCE_MS, settlesWithin, WorkerHost } from './lib/workers.ts';
