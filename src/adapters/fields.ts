/**
 * The configuration fields that every method shares, and how a field describes itself to forms, tables and URLs. Names and defaults
 * are PEFT's.
 */

import { say, whole } from '../lib/say.ts';
import { z } from '../lib/schema.ts';

/** What a form needs to know of a field beyond its type. */
export interface FieldMeta {
  readonly title: string;
  readonly description: string;
  /** The papers' symbol, as KaTeX. */
  readonly symbol?: string;
  /** Where a form shows it: with the method, under "advanced", with the module tree, or nowhere (it belongs to the file). */
  readonly group: 'main' | 'advanced' | 'targets' | 'file';
  /** Values worth offering; the rules decide which are legal. */
  readonly options?: readonly (string | number | boolean)[];
  readonly min?: number;
  readonly max?: number;
  readonly step?: number;
}

/** As a schema has it: sentences are made when they are asked for. */
type FieldWords = Omit<FieldMeta, 'title' | 'description'> & { title(): string; description(): string };

const WORDS = z.registry<FieldWords>();

/** A schema with what a form needs to know of it. */
export function told<T extends z.ZodType>(schema: T, words: FieldWords): T {
  WORDS.add(schema, words);
  return schema;
}

/** No method has a third of these fields. */
const MOST_FIELDS = 200;

/** A configuration in a file of ours, before its method's own schema reads it. */
export const givenFields = z.custom<Record<string, unknown>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length <= MOST_FIELDS,
  { error: () => say`it must be an object of at most ${MOST_FIELDS} fields` },
);

/** Gives a schema its default and its description. */
export function field<T extends z.ZodType>(
  schema: T,
  initial: z.util.NoUndefined<z.output<T>>,
  meta: FieldWords,
) {
  const bounded = schema.check(refuseLarge);
  return told(
    bounded.default(() => structuredClone(initial) as z.util.NoUndefined<z.output<T>>),
    meta,
  );
}

/** Letters of a text, entries of a list and of a dictionary that a field may have: more than any model has modules. */
const MOST_LETTERS = 20_000;
const MOST_ENTRIES = 50_000;

const refuseLarge = ({ value, issues }: z.core.ParsePayload): void => {
  const refuse = (message: string): void => {
    issues.push({ code: 'custom', message, input: value });
  };
  if (typeof value === 'string') {
    if (value.length > MOST_LETTERS)
      refuse(say`it has ${value.length} letters, and the most is ${MOST_LETTERS}`);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const entries = Object.entries(value);
  if (entries.length > MOST_ENTRIES)
    refuse(say`it has ${entries.length} entries, and the most is ${MOST_ENTRIES}`);
  const long = entries.find(
    ([key, entry]) => key.length > MOST_LETTERS || (typeof entry === 'string' && entry.length > MOST_LETTERS),
  );
  if (long) refuse(say`an entry has more than ${MOST_LETTERS} letters`);
};

/** The schema of a rank or another size of an adapter: whole, and no larger than any model is wide. */
export const size = (most = 65_536) =>
  z.int().max(most, { error: () => say`a size is at most ${whole(most)} here` });

/** What {@link told} said of it, in the language spoken. */
export function fieldMeta(schema: z.ZodType): FieldMeta | undefined {
  const words = WORDS.get(schema);
  return words && { ...words, title: words.title(), description: words.description() };
}

const names = z.union([z.array(z.string()), z.string()]).nullable();
const nameList = z.array(z.string()).nullable();
const indices = z.union([z.array(z.int().min(0)), z.int().min(0)]).nullable();
const file = (description: () => string): FieldWords => ({
  title: () => '',
  description,
  group: 'file',
});

export const TASK_TYPES = [
  'SEQ_CLS',
  'SEQ_2_SEQ_LM',
  'CAUSAL_LM',
  'TOKEN_CLS',
  'QUESTION_ANS',
  'FEATURE_EXTRACTION',
];

/** Fields of every adapter_config.json. */
export const fileFields = {
  task_type: field(z.string().nullable(), null, {
    title: () => say`Task type`,
    description: () =>
      say`What the model is for. SEQ_CLS and TOKEN_CLS also train and save the classifier, QUESTION_ANS the answer head.`,
    group: 'advanced',
    options: TASK_TYPES,
  }),
  auto_mapping: field(
    z.record(z.string(), z.unknown()).nullable(),
    null,
    file(() => say`The class of the base model, for PEFT.`),
  ),
  base_model_name_or_path: field(
    z.string().nullable(),
    null,
    file(() => say`The base model that the adapter belongs to.`),
  ),
  revision: field(
    z.string().nullable(),
    null,
    file(() => say`The revision of the base model.`),
  ),
  inference_mode: field(
    z.boolean(),
    false,
    file(() => say`Written as true: an adapter file is loaded frozen unless asked otherwise.`),
  ),
  modules_to_save: field(nameList, null, {
    title: () => say`Modules to save`,
    description: () =>
      say`Modules trained in full and stored beside the adapter: every module whose name ends with one of these.`,
    group: 'targets',
  }),
};

/** Fields of methods that adapt chosen modules. */
export const targetFields = {
  target_modules: field(names, null, {
    title: () => say`Target modules`,
    description: () =>
      say`A list of names (a module matches if its name is an entry or ends with "." and an entry), or one regular expression for whole names, or "all-linear".`,
    group: 'targets',
  }),
  exclude_modules: field(names, null, {
    title: () => say`Excluded modules`,
    description: () => say`Modules left alone even if they match: names or one regular expression, as above.`,
    group: 'targets',
  }),
};

/** Fields of PEFT's weight methods. */
export const layerFields = {
  ...targetFields,
  layers_to_transform: field(indices, null, {
    title: () => say`Layers`,
    description: () =>
      say`Only adapt layers with these numbers. Applies to list entries that match as a suffix; full names and expressions bypass it.`,
    group: 'targets',
  }),
  layers_pattern: field(z.union([z.array(z.string()), z.string()]).nullable(), null, {
    title: () => say`Layers pattern`,
    description: () =>
      say`The name before the layer number (e.g. "layers" or "h") if the first number in a module name is not the layer.`,
    group: 'targets',
  }),
  fan_in_fan_out: field(z.boolean(), false, {
    title: () => say`Fan in, fan out`,
    description: () =>
      say`PEFT sets it by itself: true for layers stored as (in, out) as in GPT-2, false for others.`,
    group: 'file',
  }),
};

/** The bias setting; `only` is the method's documented `…_only` value. */
export function biasField(only: string) {
  return field(z.string(), 'none', {
    title: () => say`Bias`,
    description: () =>
      say`Which biases train too: none, all of the model's, or those of adapted layers (${only}).`,
    group: 'main',
    options: ['none', 'all', only],
  });
}

/** Dropout on the inputs of an additive update. */
export function dropoutField() {
  return field(z.number().min(0).max(1), 0, {
    title: () => say`Dropout`,
    description: () => say`Dropout on the inputs of the update while training.`,
    symbol: 'p',
    group: 'main',
    min: 0,
    max: 0.9,
    step: 0.05,
  });
}

/** Ranks and alphas of single modules, where a method has both. */
export const patternFields = (most?: number) => ({
  rank_pattern: field(
    z.record(z.string(), size(most)),
    {},
    {
      title: () => say`Rank by module`,
      description: () => say`Module name or expression to its own rank; the first that matches counts.`,
      group: 'advanced',
    },
  ),
  alpha_pattern: field(
    z.record(z.string(), z.number()),
    {},
    {
      title: () => say`Alpha by module`,
      description: () => say`Module name or expression to its own alpha; the first that matches counts.`,
      group: 'advanced',
    },
  ),
});

/** The part of a configuration that target matching and files read, whatever the method. */
export interface CommonConfig {
  readonly task_type: string | null;
  readonly auto_mapping: Record<string, unknown> | null;
  readonly base_model_name_or_path: string | null;
  readonly revision: string | null;
  readonly inference_mode: boolean;
  readonly modules_to_save: string[] | null;
  readonly target_modules?: string[] | string | null;
  readonly exclude_modules?: string[] | string | null;
  readonly layers_to_transform?: number[] | number | null;
  readonly layers_pattern?: string[] | string | null;
  readonly bias?: string;
}
