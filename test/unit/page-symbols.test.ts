/**
 * Symbols that link formulas with controls: each control's symbol stands in a formula of its place, each marked symbol has a colour of its own there and
 * lights up when it is pointed at; on the main page those of the methods' cards belong to settings.
 * Seen to fail with: a control whose symbol no formula has, a symbol without a rule, two symbols of one colour, a card that marks what is no setting.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import type { MethodCard } from '../../src/adapters/types.ts';
import { PARTS } from '../../src/labs.ts';
import { fieldMeta } from '../../src/methods.ts';
import { letterOf } from '../../src/page/format.ts';
import * as textbook from '../../src/page/labs/textbook/formulas.ts';
import { PLACES } from '../../src/page/labs/textbook/way.ts';

const read = (path: string): string => readFileSync(path, 'utf8');
const symbolsIn = (text: string, pattern: RegExp): string[] => [
  ...new Set([...text.matchAll(pattern)].map(([, name]) => name!)),
];
const MARKED = /sym-(\w+)/g;

const LABS = 'src/page/labs';
const folderOf = (id: string, isPage?: true) => (isPage ? `${LABS}/textbook/${id}` : `${LABS}/${id}`);
const sourceOf = (folder: string): string =>
  readdirSync(folder)
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => read(`${folder}/${name}`))
    .join('\n');

/** Symbols that the formulas of a place mark: its own, and those that it takes from the textbook's. */
function markedIn(id: string, isPage?: true): string[] {
  const source = sourceOf(folderOf(id, isPage));
  const taken = Object.entries(textbook).flatMap(([name, formula]) =>
    typeof formula === 'string' && new RegExp(`\\b${name}\\b.*formulas\\.ts`).test(source)
      ? symbolsIn(formula, MARKED)
      : [],
  );
  const counted = isPage ? symbolsIn(textbook.countsOf(id as 'oft', id), MARKED) : [];
  return [...new Set([...symbolsIn(source, /\bmark\('(\w+)'/g), ...taken, ...counted])];
}

const styles = ['labs.css', 'shader/shader.css'].map((name) => read(`${LABS}/${name}`)).join('\n');
const colourOf = (name: string): string | undefined =>
  new RegExp(`--of-${name}: var\\((--[\\w-]+)\\)`).exec(styles)?.[1];

const places = PLACES.filter(({ controls, id }) => controls.length > 0 && id !== 'glossary');

describe.each(places)('$id', ({ id, isPage, controls }) => {
  const marked = markedIn(id, isPage);

  it('has each symbol of its controls in a formula', () => {
    const symbols = controls.flatMap(({ symbol }) => (symbol === undefined ? [] : [symbol]));
    expect(symbols.filter((name) => !marked.includes(name))).toEqual([]);
  });

  it('has a colour and a light for each symbol that it marks', () => {
    expect(marked.length).toBeGreaterThan(2);
    for (const name of marked) {
      expect(colourOf(name), name).toMatch(/^--(line-\d|ink-2)$/);
      expect(styles, name).toContain(`.sym-${name} {\n  --of: var(--of-${name});`);
      expect(styles, name).toContain(`[data-lit="${name}"] .sym-${name}`);
    }
  });

  it('has as many colours as symbols', () => {
    if (id === 'shader') return;
    // Q is made of q.
    const apart = marked.filter((name) => name !== 'q');
    expect(new Set(apart.map(colourOf)).size).toBe(apart.length);
  });
});

it('the kernels’ parts are marked in their formulas, light up, and differ in colour', () => {
  const marked = markedIn('shader');
  for (const parts of Object.values(PARTS))
    for (const { symbol } of parts) {
      expect(marked).toContain(symbol);
      expect(styles).toContain(`[data-lit="${symbol}"] .shader-lit.sym-${symbol} .shader-all`);
    }
});

describe.each(Object.values(METHODS))('the card of $title', ({ id, schema }) => {
  it('has settings whose symbols are letters where there is no formula', () => {
    for (const one of Object.values(schema.shape)) {
      const symbol = fieldMeta(one as Parameters<typeof fieldMeta>[0])?.symbol;
      if (symbol !== undefined) expect(letterOf(symbol)).toMatch(/^[A-Za-zαεΔ]([_/][A-Za-z0-9])?$/);
    }
  });

  it('marks symbols of settings, which light up', async () => {
    const { card } = (await import(`../../src/adapters/${id}/card.ts`)) as { readonly card: MethodCard };
    const settings = Object.values(schema.shape).flatMap((one) => {
      const symbol = fieldMeta(one as Parameters<typeof fieldMeta>[0])?.symbol;
      return symbol === undefined ? [] : [symbol.replaceAll(/\W/g, '')];
    });
    const marked = symbolsIn(card.formula, MARKED);
    expect(marked.filter((name) => !settings.includes(name))).toEqual([]);
    if (settings.includes('b') || settings.includes('n') || settings.includes('alpha'))
      expect(marked.length).toBeGreaterThan(0);
    const setup = read('src/page/features/setup/setup.css');
    for (const name of marked) {
      expect(setup).toContain(`[data-lit="${name}"] .katex .sym-${name}`);
      expect(setup).toContain(`[data-lit="${name}"] .field.sym-${name} .field-head`);
    }
  });
});
