/** Part 2 of 2 of the matrix of families: see test/tools/familyMatrix.ts. */

import { ownModels } from '../../tools/verify/families/matrix.ts';
import { subjectNames } from '../../tools/verify/families/subjects.ts';
import { describePart } from '../tools/familyMatrix.ts';

describePart(await subjectNames(await ownModels()), 1, 2);
