/** Loads every op's references and test cases: what the device check, the interpreter and the suites need, and training never does. */
import { checkedOps } from '../graph/interpret.ts';

export { type Interpretation, interpret } from '../graph/interpret.ts';

import.meta.glob('./*.check.ts', { eager: true });

/** Every op, for the suites to sweep. */
export const ops = checkedOps();
