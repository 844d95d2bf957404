/** The table of all operators that the import knows. */
import { attention } from './attention.ts';
import { elementwise } from './elementwise.ts';
import { linalg } from './linalg.ts';
import { movement } from './movement.ts';
import { normalisation } from './normalisation.ts';
import { register } from './operator.ts';
import { quant } from './quant.ts';
import { reduction } from './reduction.ts';

for (const operators of [elementwise, movement, reduction, linalg, normalisation, attention, quant])
  register(operators);

export { operatorOfNode } from './operator.ts';
