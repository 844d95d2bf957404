/**
 * The link of a lab or of a page of the textbook, in the address's hash: which it is, the values that differ from its usual ones, and which controls whoever
 * made the link locked or hid.
 */
import { say } from '../../common.ts';
import type { Lesson } from '../lessons/lesson.ts';
import { type Control, readValue, usualValues, type Values } from './controls.ts';

export interface LabSetting {
  readonly values: Values;
  /** Names of controls that cannot be moved, and of those that are not shown. */
  readonly locked: readonly string[];
  readonly hidden: readonly string[];
}

export interface LabLink extends LabSetting {
  /** A sentence for everything in the link that is not used. */
  readonly problems: readonly string[];
}

/** Letters of a link that are read: what is longer was not made here. */
const MOST_LETTERS = 2 ** 16;

const paramsOf = (hash: string): URLSearchParams =>
  new URLSearchParams(hash.slice(0, MOST_LETTERS).replace(/^#/, ''));

/** How a place begins: as usual, or as a lesson has it, whose packed form then stays in the link. */
export interface LabStart {
  readonly values: Values;
  readonly locked: readonly string[];
  readonly hidden: readonly string[];
  readonly packed: string | null;
  readonly problems: readonly string[];
}

/** What a hash may begin with: a lab or a page, by its name. No name is both. */
export type PlaceKind = 'lab' | 'page';

/** Which lab or page a hash names; null for the start page. */
export const labIn = (hash: string): string | null => {
  const params = paramsOf(hash);
  return params.get('lab') ?? params.get('page');
};

/** The usual start, or that of a lesson: by the controls' own rule, each thing that is not used with a sentence. */
export function startOf(
  controls: readonly Control[],
  packed: string | null,
  lesson: Lesson | null,
): LabStart {
  const problems: string[] = [];
  const values: Record<string, number | string> = { ...usualValues(controls) };
  const known = (names: readonly string[]): string[] => {
    const found = names.filter((name) => controls.some((control) => control.name === name));
    if (found.length < names.length)
      problems.push(say`The lesson locks or hides a control that there is not.`);
    return [...new Set(found)];
  };
  for (const [key, text] of Object.entries(lesson?.start ?? {})) {
    const problem = take(controls, values, key, text);
    if (problem !== null) problems.push(problem);
  }
  const [locked, hidden] = [known(lesson?.lock ?? []), known(lesson?.hide ?? [])];
  return { values, locked, hidden, packed, problems };
}

/** Sets one value of a link. @returns why it is not used, or null */
function take(
  controls: readonly Control[],
  values: Record<string, number | string>,
  key: string,
  text: string,
): string | null {
  const control = controls.find(({ name }) => name === key);
  if (control === undefined) return say`The link’s “${key.slice(0, 40)}” means nothing here and is ignored.`;
  const read = readValue(control, text);
  if ('problem' in read) return read.problem;
  values[key] = read.value;
  return null;
}

/** What differs from the start, by the names of the controls. */
export const differing = (
  controls: readonly Control[],
  values: Values,
  start: Values = usualValues(controls),
): Record<string, string> =>
  Object.fromEntries(
    controls.flatMap(({ name }) =>
      values[name] === start[name] || values[name] === undefined ? [] : [[name, String(values[name])]],
    ),
  );

/** The hash without its "#". */
export function encodeLab(
  id: string,
  controls: readonly Control[],
  { values, locked, hidden }: LabSetting,
  kind: PlaceKind = 'lab',
  start: LabStart | null = null,
): string {
  const out = new URLSearchParams({ [kind]: id, ...differing(controls, values, start?.values) });
  // A lesson says itself what is locked and hidden.
  if (start?.packed != null) out.set('lesson', start.packed);
  else {
    if (locked.length > 0) out.set('lock', locked.join(','));
    if (hidden.length > 0) out.set('hide', hidden.join(','));
  }
  return out.toString().replaceAll('%2C', ',');
}

export function decodeLab(
  hash: string,
  controls: readonly Control[],
  start: LabStart = startOf(controls, null, null),
): LabLink {
  const params = paramsOf(hash);
  const problems = [...start.problems];
  const values: Record<string, number | string> = { ...start.values };
  const named = (key: 'lock' | 'hide'): string[] => {
    const names = (params.get(key) ?? '').split(',').filter((name) => name !== '');
    const known = names.filter((name) => controls.some((control) => control.name === name));
    if (known.length < names.length)
      problems.push(say`The link’s “${key}” names a control that there is not.`);
    return known;
  };
  for (const [key, text] of params) {
    if (['lab', 'page', 'lock', 'hide', 'lesson', 'engine'].includes(key)) continue;
    const problem = take(controls, values, key, text);
    if (problem !== null) problems.push(problem);
  }
  const [locked, hidden] = [named('lock'), named('hide')];
  return {
    values,
    locked: [...new Set([...start.locked, ...locked])],
    hidden: [...new Set([...start.hidden, ...hidden])],
    problems: problems.slice(0, 10),
  };
}
