/** The order in which one reads: each page of the textbook before the lab that tries its idea out. */
import { say } from '../../../common.ts';
import { LABS, type LabEntry } from '../catalogue.ts';
import { GLOSSARY_PAGE, PAGES } from './pages.ts';

export const WAY: readonly LabEntry[] = LABS.flatMap((lab) => [
  ...PAGES.filter(({ before }) => before === lab.id),
  lab,
]);

/** All that an address can name. */
export const PLACES: readonly LabEntry[] = [...WAY, GLOSSARY_PAGE];

export const hashOf = ({ id, isPage }: LabEntry): string => `#${isPage ? 'page' : 'lab'}=${id}`;

/** "Lab 1 of 2, about 10 minutes" */
export const placeText = (entry: LabEntry): string =>
  entry.isPage
    ? say`Page ${PAGES.findIndex(({ id }) => id === entry.id) + 1} of ${PAGES.length}, about ${entry.minutes} minutes`
    : say`Lab ${LABS.indexOf(entry) + 1} of ${LABS.length}, about ${entry.minutes} minutes`;
