/** Part 1 of 2 of the matrix of families: see test/tools/familyMatrix.ts. */
import { subjectNames } from '../../src/cli/families/subjects.ts';
import { ownModels } from '../../src/cli/verifyFamilies.ts';
import { describePart } from '../tools/familyMatrix.ts';

describePart(await subjectNames(await ownModels()), 0, 2);
