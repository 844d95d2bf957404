/** The pages of the textbook: one for each method, each before the lab that tries its idea out, and the glossary. */
import { lazy } from 'react';
import { say } from '../../../common.ts';
import type { LabEntry } from '../catalogue.ts';
import { BOFT_CONTROLS, BOFT_QUANTITIES } from './boft/settings.ts';
import { FOURIERFT_CONTROLS, FOURIERFT_QUANTITIES } from './fourierft/settings.ts';
import { GLOSSARY } from './glossary.ts';
import { LORA_CONTROLS, LORA_QUANTITIES } from './lora/settings.ts';
import { OFT_CONTROLS, OFT_QUANTITIES } from './oft/settings.ts';

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
    quantities: OFT_QUANTITIES,
    View: lazy(() => import('./oft/OftPage.tsx')),
  },
  {
    id: 'boft',
    isPage: true,
    before: 'butterfly',
    title: () => say`BOFT: rotations wired like a butterfly`,
    what: () =>
      say`A few thin factors make a rotation in which every input reaches every output. Follow the ways through them, and take a trained rotation back to where it began.`,
    minutes: 15,
    controls: BOFT_CONTROLS,
    quantities: BOFT_QUANTITIES,
    View: lazy(() => import('./boft/BoftPage.tsx')),
  },
  {
    id: 'lora',
    isPage: true,
    before: 'fourier',
    title: () => say`LoRA: a change of low rank`,
    what: () =>
      say`Two thin matrices make a change of a whole weight: what every other method is held against. See which changes they can be, what α does, and what becomes of lengths and angles beside OFT.`,
    minutes: 12,
    controls: LORA_CONTROLS,
    quantities: LORA_QUANTITIES,
    View: lazy(() => import('./lora/LoraPage.tsx')),
  },
  {
    id: 'fourierft',
    isPage: true,
    before: 'fourier',
    title: () => say`FourierFT: a change as a sum of waves`,
    what: () =>
      say`Take the change of a weight for a picture and write it with a few waves. See which are in it, which of them a real number can make, and what a handful brings back.`,
    minutes: 12,
    controls: FOURIERFT_CONTROLS,
    quantities: FOURIERFT_QUANTITIES,
    View: lazy(() => import('./fourierft/FourierftPage.tsx')),
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
