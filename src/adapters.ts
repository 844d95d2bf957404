/** `papilio/adapters`: PEFT's adapter files and configurations, and several adapters made into one, without a model or a GPU. */
export { type CombineOptions, combineAdapters } from './adapters/combine.ts';
export { validateConfig } from './adapters/config.ts';
export {
  DEFAULT_NAME,
  type Files,
  filesFromZip,
  folderOf,
  isAdapterFile,
  readFolder,
  zipOf,
} from './adapters/folder.ts';
export { type Adapter, type LoadedAdapter, readAdapter, writeAdapter } from './adapters/peft.ts';
export { METHODS, type MethodId, methodById, methodByPeftType } from './adapters/registry.ts';
export { readSafetensors, type StoredTensor, writeSafetensors } from './adapters/safetensors.ts';
export type { AdapterMethod, AdapterTensor } from './adapters/types.ts';
