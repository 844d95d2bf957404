/** The pages of the textbook: one for each method, each before the lab that tries its idea out, and the glossary. */
import { lazy } from 'react';
import { say } from '../../../common.ts';
import type { LabEntry } from '../catalogue.ts';
import { GLOSSARY } from './glossary.ts';
import { OFT_CONTROLS } from './oft/settings.ts';

interface PageEntry extends LabEntry {
  /** The lab that comes after it. */
  readonly before: string;
}

export const PAGES: readonly PageEntry[] = [
  {
    id: 'oft',
    isPage: true,
    before: 'cayley',
    title: () => say`OFT: one rotation for all neurons`,
    what: () =>
      say`A rotation changes what a layer answers and leaves every angle between its neurons as it is. See why, how blocks make it cheap, and what they give up.`,
    minutes: 12,
    controls: OFT_CONTROLS,
    quantities: [],
    View: lazy(() => import('./oft/OftPage.tsx')),
  },
];

/** Beside the way: whoever looks a term up comes back. */
export const GLOSSARY_PAGE: LabEntry = {
  id: 'glossary',
  isPage: true,
  title: () => say`Glossary`,
  what: () => say`One sentence for each term of the pages.`,
  minutes: 3,
  controls: [{ name: 'term', kind: 'choice', values: ['', ...Object.keys(GLOSSARY)], usual: '' }],
  quantities: [],
  View: lazy(() => import('./Glossary.tsx')),
};
