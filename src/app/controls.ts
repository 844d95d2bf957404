/** Which control a field of a zod schema gets, and the stops worth offering. Read from the schema, so a new method needs no form. */
import type { z } from 'zod';

export type Control =
  | { readonly kind: 'switch' }
  | { readonly kind: 'number'; readonly isWhole: boolean }
  | { readonly kind: 'choice'; readonly options: readonly (string | number | boolean)[] }
  | { readonly kind: 'text' }
  /** Lists, dictionaries and anything else: edited as JSON. */
  | { readonly kind: 'json' };

interface Def {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly entries?: Readonly<Record<string, string>>;
  readonly format?: string;
}

const defOf = (schema: z.ZodType): Def => schema.def as unknown as Def;

/** The schema under its defaults. */
function inner(schema: z.ZodType): z.ZodType {
  const def = defOf(schema);
  return def.type === 'default' || def.type === 'optional' ? inner(def.innerType!) : schema;
}

export function controlOf(
  schema: z.ZodType,
  options: readonly (string | number | boolean)[] | undefined,
): Control {
  if (options !== undefined) return { kind: 'choice', options };
  const bare = inner(schema);
  const def = defOf(bare);
  switch (def.type) {
    case 'enum':
      return { kind: 'choice', options: Object.values(def.entries!) };
    case 'boolean':
      return { kind: 'switch' };
    case 'number':
      return { kind: 'number', isWhole: def.format !== undefined };
    case 'string':
      return { kind: 'text' };
    case 'union':
      return def.options!.some((one) => defOf(one).type === 'boolean')
        ? { kind: 'switch' }
        : { kind: 'json' };
    default:
      return { kind: 'json' };
  }
}

/** Every whole number of a short range, powers of two of a long one; empty where stops make no sense. */
export function stopsOf(min: number | undefined, max: number | undefined): number[] {
  if (min === undefined || max === undefined || max - min < 1) return [];
  if (max - min <= 9) return Array.from({ length: max - min + 1 }, (_, i) => min + i);
  if (max > 512) return [];
  const stops: number[] = [];
  for (let n = 1; n <= max; n *= 2) if (n >= min) stops.push(n);
  return stops;
}
