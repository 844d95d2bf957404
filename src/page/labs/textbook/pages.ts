/** The pages of the textbook, each before the lab that tries its idea out. */
import type { LabEntry } from '../catalogue.ts';

interface PageEntry extends LabEntry {
  /** The lab that comes after it. */
  readonly before: string;
}

export const PAGES: readonly PageEntry[] = [];
