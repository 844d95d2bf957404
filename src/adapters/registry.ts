/** Every method, in the order in which lists show them: forms, addresses, tables, files and suites follow from this list. */
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { adalora } from './adalora/index.ts';
import { boft } from './boft/index.ts';
import { fourierft } from './fourierft/index.ts';
import { full } from './full/index.ts';
import { head } from './head/index.ts';
import { ia3 } from './ia3/index.ts';
import { loha } from './loha/index.ts';
import { lokr } from './lokr/index.ts';
import { lora } from './lora/index.ts';
import { oft } from './oft/index.ts';
import type { AdapterMethod } from './types.ts';
import { vera } from './vera/index.ts';

const methods = { oft, boft, fourierft, lora, adalora, ia3, loha, lokr, vera, head, full };

/** The methods' stable names: folder, URL value and `--method` argument. */
export type MethodId = keyof typeof methods;

export const METHODS: Readonly<Record<MethodId, AdapterMethod>> = methods;

/** The method of a name as in `--method` or a URL. Throws PapilioError 'bad-argument' with the names there are. */
export function methodById(id: string): AdapterMethod & { readonly id: MethodId } {
  if (Object.hasOwn(METHODS, id)) return METHODS[id as MethodId] as AdapterMethod & { readonly id: MethodId };
  return fail(
    'bad-argument',
    say`There is no method "${id}"; choose one of ${Object.keys(METHODS).join(', ')}.`,
    { id },
  );
}

/** The method of a `peft_type`, or null. PEFT accepts any case. */
export function methodByPeftType(peftType: string): AdapterMethod | null {
  return Object.values(METHODS).find((method) => method.peftType === peftType.toUpperCase()) ?? null;
}
