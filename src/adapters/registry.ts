/** The methods by name, in the order in which lists show them. */
import { fail } from '../lib/errors.ts';
import * as methods from './methods.ts';
import type { AdapterMethod } from './types.ts';

/** The methods' stable names: folder, URL value and `--method` argument. */
export type MethodId = keyof typeof methods;

const table: Readonly<Record<MethodId, AdapterMethod>> = methods;

/** What the house is about comes first, whole modules last, the others by name between them. */
const FIRST: readonly string[] = ['oft', 'boft', 'fourierft', 'lora'];
const LAST: readonly string[] = ['head', 'full'];
const between = Object.keys(table).filter((id) => !FIRST.includes(id) && !LAST.includes(id));

export const METHODS = Object.fromEntries(
  [...FIRST, ...between, ...LAST].map((id) => [id, table[id as MethodId]]),
) as Readonly<Record<MethodId, AdapterMethod>>;

/** The method of a name as in `--method` or a URL. Throws PapilioError 'bad-argument' with the names there are. */
export function methodById(id: string): AdapterMethod & { readonly id: MethodId } {
  if (Object.hasOwn(METHODS, id)) return METHODS[id as MethodId] as AdapterMethod & { readonly id: MethodId };
  return fail(
    'bad-argument',
    `There is no method "${id}"; choose one of ${Object.keys(METHODS).join(', ')}.`,
    { id },
  );
}

/** The method of a `peft_type`, or null. PEFT accepts any case. */
export function methodByPeftType(peftType: string): AdapterMethod | null {
  return Object.values(METHODS).find((method) => method.peftType === peftType.toUpperCase()) ?? null;
}
