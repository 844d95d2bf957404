/** `papilio/merged`: what follows a merge: the comparison with what was trained, and the folder that the Hub expects. */
export { checkParity, type OpenFile, type ParityReport } from './training/parity.ts';
export { hubFolder, MODEL_SIDECARS } from './training/sidecars.ts';
