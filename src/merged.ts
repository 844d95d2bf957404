/** `papilio/merged`: what follows a merge: the comparison with what was trained, the folder that the Hub expects, its card, and what runs it. */

export { type CardOf, modelCard } from './training/modelCard.ts';
export { checkParity, type OpenFile, type ParityReport } from './training/parity.ts';
export { hubFolder, MODEL_SIDECARS } from './training/sidecars.ts';
export {
  type Exported,
  onnxruntimeSnippet,
  type Snippet,
  transformersSnippet,
} from './training/snippets.ts';
