/** The datasets that come with the project, by name; all are made on the spot from a seed, none is downloaded. */
import { fail } from '../lib/errors.ts';
import { type GlyphOptions, glyphDataset } from './glyphs/dataset.ts';
import type { ImageDataset } from './types.ts';

const glyphNames = ['digits', 'letters', 'wild-digits'] as const;

export function embeddedDataset(name: string, options: GlyphOptions = {}): ImageDataset {
  const glyph = glyphNames.find((known) => known === name);
  if (glyph) return glyphDataset(glyph, options);
  return fail('not-found', `There is no embedded dataset "${name}"; there are ${glyphNames.join(', ')}.`);
}
