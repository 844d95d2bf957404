/**
 * The link of a lab or of a page of the textbook, in the address's hash: which it is, the values that differ from its usual ones, and which controls whoever
 * made the link locked or hid.
 */
import { say } from '../../common.ts';
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
const MOST_LETTERS = 4000;

const paramsOf = (hash: string): URLSearchParams =>
  new URLSearchParams(hash.slice(0, MOST_LETTERS).replace(/^#/, ''));

/** What a hash may begin with: a lab or a page, by its name. No name is both. */
export type PlaceKind = 'lab' | 'page';

/** Which lab or page a hash names; null for the start page. */
export const labIn = (hash: string): string | null => {
  const params = paramsOf(hash);
  return params.get('lab') ?? params.get('page');
};

/** The hash without its "#". */
export function encodeLab(
  id: string,
  controls: readonly Control[],
  { values, locked, hidden }: LabSetting,
  kind: PlaceKind = 'lab',
): string {
  const out = new URLSearchParams({ [kind]: id });
  for (const { name, usual } of controls)
    if (values[name] !== usual && values[name] !== undefined) out.set(name, String(values[name]));
  if (locked.length > 0) out.set('lock', locked.join(','));
  if (hidden.length > 0) out.set('hide', hidden.join(','));
  return out.toString().replaceAll('%2C', ',');
}

export function decodeLab(hash: string, controls: readonly Control[]): LabLink {
  const params = paramsOf(hash);
  const problems: string[] = [];
  const values: Record<string, number | string> = { ...usualValues(controls) };
  const named = (key: 'lock' | 'hide'): string[] => {
    const names = (params.get(key) ?? '').split(',').filter((name) => name !== '');
    const known = names.filter((name) => controls.some((control) => control.name === name));
    if (known.length < names.length)
      problems.push(say`The link’s “${key}” names a control that there is not.`);
    return [...new Set(known)];
  };
  for (const [key, text] of params) {
    if (['lab', 'page', 'lock', 'hide'].includes(key)) continue;
    const control = controls.find(({ name }) => name === key);
    if (control === undefined) {
      problems.push(say`The link’s “${key.slice(0, 40)}” means nothing here and is ignored.`);
      continue;
    }
    const read = readValue(control, text);
    if ('problem' in read) problems.push(read.problem);
    else values[key] = read.value;
  }
  return { values, locked: named('lock'), hidden: named('hide'), problems: problems.slice(0, 10) };
}
