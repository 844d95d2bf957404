/** `papilio/methods`: the methods with their fields, rules, sizes and starts, and how target_modules are read. No file is read here. */
export { COMBINATIONS, type Combination, type CombineOptions } from './adapters/combine.ts';
export { type CommonConfig, type FieldMeta, fieldMeta, givenFields } from './adapters/fields.ts';
export { triangleIndex } from './adapters/oft/config.ts';
export { isWholeNumber } from './adapters/perModule.ts';
export { METHODS, type MethodId, methodById } from './adapters/registry.ts';
export { refuseCommon } from './adapters/rules.ts';
export { countTrainable, type TrainableCount } from './adapters/size.ts';
export { blockMembers, factorNonZeros, factorSize } from './adapters/sparsity.ts';
export { DEFAULT_METHOD, startConfig, startRate, TASKS } from './adapters/start.ts';
export {
  completeConfig,
  requireTargets,
  type Selection,
  selectTargets,
  type TargetModel,
} from './adapters/targets.ts';
export {
  type AdapterMethod,
  type AdapterTensor,
  FAMILIES,
  type Factor,
  type Layer,
  type MethodCard,
  type ParameterCount,
  type Pattern,
} from './adapters/types.ts';
