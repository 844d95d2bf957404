/** `papilio/inference`: files in onnxruntime-web: sessions, writing, embeddings, and the answers of two files side by side. */
export type {
  About,
  Answer,
  BothWriting,
  Question,
  Side,
  WriteOptions,
  Writing,
} from './inference/beforeAfter.ts';
export { cosine, embed, generate, nextTokenLogits } from './inference/languageModel.ts';
export { type OpenOptions, type OrtSession, openSession } from './inference/session.ts';
export type { InferenceApi } from './inference/worker.ts';
