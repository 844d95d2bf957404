/** Part 1 of 2 of the ops on a GPU: see test/tools/opSuite.ts. */
import { describeOps } from '../tools/opSuite.ts';

describeOps(0, 2);
