/** Every method, one line each. Forms, URLs, tables, files and suites follow from this list. */
export { adalora } from './adalora/index.ts';
export { boft } from './boft/index.ts';
export { fourierft } from './fourierft/index.ts';
export { full } from './full/index.ts';
export { head } from './head/index.ts';
export { ia3 } from './ia3/index.ts';
export { loha } from './loha/index.ts';
export { lokr } from './lokr/index.ts';
export { lora } from './lora/index.ts';
export { oft } from './oft/index.ts';
export { vera } from './vera/index.ts';
