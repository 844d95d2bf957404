/** Which control a field of a zod schema gets, and the stops worth offering. Read from the schema, so a new method needs no form. */
import type { z } from 'zod';

export type Control =
  | { readonly kind: 'switch' }
  | { readonly kind: 'number'; readonly isWhole: boolean }
  | { readonly kind: 'choice'; readonly options: readonly (string | number | boolean)[] }
  | { readonly kind: 'text' }
  /** Words or numbers in a row; with `orOne`, a single expression may stand in their place. */
  | { readonly kind: 'list'; readonly of: 'text' | 'number'; readonly orOne: boolean }
  /** Numbers by name or expression. */
  | { readonly kind: 'table' }
  /** Anything else, edited as JSON. */
  | { readonly kind: 'json' };

interface Def {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly entries?: Readonly<Record<string, string>>;
  readonly format?: string;
}

const defOf = (schema: z.ZodType): Def => schema.def as unknown as Def;

/** The schema under its default and beside null. */
function inner(schema: z.ZodType): z.ZodType {
  const def = defOf(schema);
  return ['default', 'optional', 'nullable'].includes(def.type) ? inner(def.innerType!) : schema;
}

function listOf(def: Def, orOne: boolean): Control {
  const of = defOf(inner(def.element!)).type;
  return of === 'string' || of === 'number'
    ? { kind: 'list', of: of === 'number' ? 'number' : 'text', orOne }
    : { kind: 'json' };
}

/** A list that may also be a single one, or a switch with further values. */
function controlOfUnion(options: readonly Def[]): Control {
  const list = options.find(({ type }) => type === 'array');
  if (list)
    return listOf(
      list,
      options.some(({ type }) => type === 'string'),
    );
  return options.some(({ type }) => type === 'boolean') ? { kind: 'switch' } : { kind: 'json' };
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
    case 'array':
      return listOf(def, false);
    case 'record':
      return defOf(inner(def.valueType!)).type === 'number' ? { kind: 'table' } : { kind: 'json' };
    case 'union':
      return controlOfUnion(def.options!.map(defOf));
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
