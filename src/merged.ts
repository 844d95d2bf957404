/** `papilio/merged`: what follows a merge: onnxruntime in a worker, the comparison with what was trained, the folder that the Hub expects. */
export { type InferenceClient, inferenceClient, type Pair } from './inference/client.ts';
export { checkParity, type OpenFile, type ParityReport } from './training/parity.ts';
export { hubFolder, MODEL_SIDECARS } from './training/sidecars.ts';
