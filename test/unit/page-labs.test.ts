/**
 * Links of labs: what they say comes back, and what they may not say is told and left out. Seen to fail with: a value beyond its end that counts, a
 * locked control that is forgotten, a number for lessons that no picture shows, a step of a quarter that is rounded to tenths.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LABS } from '../../src/page/labs/catalogue.ts';
import { readValue, usualValues } from '../../src/page/labs/controls.ts';
import { decodeLab, encodeLab, labIn } from '../../src/page/labs/link.ts';
import { WAY } from '../../src/page/labs/textbook/way.ts';

const FOLDER = 'src/page/labs';
/** The sources of a page or a lab, and of what pages share. */
const sourceOf = (id: string, isPage?: true): string => {
  const folder = isPage ? `${FOLDER}/textbook/${id}` : `${FOLDER}/${id}`;
  const own = readdirSync(folder).map((name) => `${folder}/${name}`);
  const shared = isPage ? [`${FOLDER}/textbook/CostFigure.tsx`] : [];
  return [...own, ...shared].map((path) => readFileSync(path, 'utf8')).join('\n');
};
/** What is said to be on screen: names of numbers. */
const shownIn = (source: string): string[] =>
  [
    ...source.matchAll(/useShown\(\{([\s\S]*?)\}\);/g),
    ...source.matchAll(/<Shown\s+of=\{\{([\s\S]*?)\}\}/g),
    ...source.matchAll(/ quantity="(\w+)"/g),
  ].flatMap(([, names]) =>
    [...names!.matchAll(/(?:^|[{,])\s*(\w+)(?=\s*(?:[:,]|$))/g)].map(([, name]) => name!),
  );

describe.each(WAY)('$id', ({ id, isPage, controls, quantities }) => {
  const kind = isPage ? 'page' : 'lab';
  it('has words for its numbers, which a lesson may ask for', () => {
    const names = quantities.map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-zA-Z0-9]*$/);
    for (const { title } of quantities) expect(title()).toMatch(/^[A-Z]/);
  });

  it('shows each of its numbers', () => {
    const shown = shownIn(sourceOf(id, isPage));
    expect(quantities.map(({ name }) => name).filter((name) => !shown.includes(name))).toEqual([]);
  });

  it('has names for its controls that a link can carry', () => {
    const names = controls.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9]*$/);
    expect(names.filter((name) => ['lab', 'lock', 'hide'].includes(name))).toEqual([]);
  });

  it('takes every step of a number as it is', () => {
    for (const control of controls) {
      if (control.kind === 'choice') continue;
      const { min, max, step } = control;
      for (let k = 0; min + k * step <= max + 1e-9; k++) {
        const read = readValue(control, String(min + k * step));
        expect(read, control.name).toEqual({ value: expect.closeTo(min + k * step, 9) });
      }
    }
  });

  it('comes back from its link, with what is locked and hidden', () => {
    const values = Object.fromEntries(
      controls.map((control) => [
        control.name,
        control.kind === 'choice' ? control.values.at(-1)! : control.max,
      ]),
    );
    const [first, last] = [controls[0]!.name, controls.at(-1)!.name];
    const hash = encodeLab(id, controls, { values, locked: [first], hidden: [last] }, kind);
    expect(labIn(`#${hash}`)).toBe(id);
    expect(decodeLab(`#${hash}`, controls)).toEqual({
      values,
      locked: [first],
      hidden: [last],
      problems: [],
    });
    expect(encodeLab(id, controls, { values: usualValues(controls), locked: [], hidden: [] }, kind)).toBe(
      `${kind}=${id}`,
    );
  });
});

describe('a link', () => {
  const { controls } = LABS[0]!;
  it('says what of it is not used', () => {
    const { values, locked, problems } = decodeLab(
      '#lab=cayley&q12=9&b=5&t=3.4&strange=1&lock=q12,nothing&q13=NaN',
      controls,
    );
    expect(values).toEqual({ ...usualValues(controls), t: 3 });
    expect(locked).toEqual(['q12']);
    expect(problems).toEqual([
      'q12 = 9 is not used: it is a number from -2 to 2.',
      'b = 5 is not used: choose one of 2, 3, 4.',
      'The link’s “strange” means nothing here and is ignored.',
      'q13 = NaN is not used: it is a number from -2 to 2.',
      'The link’s “lock” names a control that there is not.',
    ]);
  });

  it('names no lab on the start page', () => {
    expect([labIn(''), labIn('#start'), labIn('#lab=none')]).toEqual([null, null, 'none']);
  });
});
