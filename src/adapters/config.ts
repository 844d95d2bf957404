/**
 * From untrusted JSON (a form, `--config`, adapter_config.json) to a method's configuration: types and defaults by its schema, rules
 * in PEFT's words, unknown keys named.
 */

import { createBudget, within } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { plainWords } from '../lib/json.ts';
import { closest } from '../lib/names.ts';
import { clause, say } from '../lib/say.ts';
import type { CommonConfig } from './fields.ts';
import { refuseCommon } from './rules.ts';
import type { AdapterMethod } from './types.ts';

export interface ValidConfig {
  readonly config: CommonConfig;
  readonly warnings: readonly string[];
}

/** Keys of every adapter_config.json that are not settings. */
const FILE_KEYS = ['peft_type', 'peft_version', 'runtime_config'];

/** A method's configuration with every field at PEFT's default. Does not check rules: some methods need at least one choice. */
export function defaultConfig(method: AdapterMethod): CommonConfig {
  return method.schema.parse({});
}

/**
 * Checks a configuration and fills in PEFT's defaults.
 *
 * @param input parsed JSON; must be an object.
 * @throws PapilioError 'illegal-config' with the field and PEFT's reason; 'unsupported-adapter' for PEFT features Papilio lacks;
 * 'too-large'.
 */
export function validateConfig(method: AdapterMethod, input: unknown): ValidConfig {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    fail(
      'illegal-config',
      say`The ${method.title} configuration must be a JSON object of PEFT's fields, e.g. {"target_modules": ["query"]}.`,
    );
  }
  requireSmall(method, input);
  const given = withoutUnset(method, input as Record<string, unknown>);
  const peftType = given.peft_type;
  if (peftType !== undefined && plainWords(peftType).toUpperCase() !== method.peftType) {
    fail(
      'illegal-config',
      say`The configuration is for ${JSON.stringify(peftType)}, not for ${method.peftType}; choose that method or remove peft_type.`,
    );
  }
  refuseFixed(method, given);
  const parsed = method.schema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    fail(
      'illegal-config',
      say`${method.title} configuration, ${issue.path.join('.')}: ${clause(issue.message)}.`,
      {
        path: issue.path,
      },
    );
  }
  const reason = method.refuse(parsed.data) ?? refuseCommon(parsed.data);
  if (reason !== null)
    fail('illegal-config', say`${method.title} configuration: ${reason.trim()}`, { reason });
  return { config: parsed.data, warnings: unknownKeys(method, given) };
}

/** Nobody writes configurations deeper. */
const DEEPEST = 20;

/** @throws PapilioError 'too-large' for a configuration of more letters or values than one has that people or programs write, 'illegal-config' for a deeper one */
export function requireSmall({ title }: Pick<AdapterMethod, 'title'>, input: object): void {
  const where = say`The ${title} configuration`;
  const values = createBudget('configValues');
  // Without a call for each level, of which there may be more than the stack has room for.
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: input, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > DEEPEST)
      fail('illegal-config', say`${where} is nested more than ${DEEPEST} deep; PEFT's fields are not.`);
    const held = Object.values(value);
    values.take(held.length, where);
    for (const inner of held) open.push({ value: inner, depth: depth + 1 });
  }
  within('configLetters', JSON.stringify(input).length, where);
}

/** As {@link validateConfig}, for a new adapter and a run of `totalSteps` updates. */
export function validateForRun(method: AdapterMethod, input: unknown, totalSteps: number): ValidConfig {
  const isObject = typeof input === 'object' && input !== null && !Array.isArray(input);
  if (!isObject) return validateConfig(method, input);
  const given = input as Record<string, unknown>;
  const reason = method.refuseStart?.(given) ?? null;
  if (reason !== null) fail('illegal-config', say`${method.title} configuration: ${reason}`, { reason });
  return validateConfig(method, { ...given, ...method.forRun?.(given, totalSteps) });
}

/** Tools write null for what is not set; where it is no value of the field, that is the field's default. */
function withoutUnset(
  method: AdapterMethod,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const isUnset = (key: string, value: unknown): boolean =>
    value === null &&
    (Object.hasOwn(method.fixed, key) ||
      (Object.hasOwn(method.schema.shape, key) ? method.schema.shape[key] : undefined)?.safeParse(null)
        .success === false);
  return Object.fromEntries(Object.entries(given).filter(([key, value]) => !isUnset(key, value)));
}

function refuseFixed(method: AdapterMethod, given: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(method.fixed)) {
    if (Object.hasOwn(given, key) && JSON.stringify(given[key]) !== JSON.stringify(value)) {
      fail(
        'unsupported-adapter',
        say`${method.title} configuration: ${key} is ${JSON.stringify(given[key])}, a PEFT feature that Papilio does not have; it must be ${JSON.stringify(value)} or left out.`,
        { key },
      );
    }
  }
}

/** Unknown settings that are named one by one. */
const NAMED = 20;

function unknownKeys(method: AdapterMethod, given: Readonly<Record<string, unknown>>): string[] {
  const known = [...Object.keys(method.schema.shape), ...Object.keys(method.fixed), ...FILE_KEYS];
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  const warnings = unknown.slice(0, NAMED).map((key) => {
    const near = closest(key, known)[0];
    return near === undefined
      ? say`${method.title} has no setting ${JSON.stringify(key)}; it is ignored.`
      : say`${method.title} has no setting ${JSON.stringify(key)}; it is ignored (did you mean ${JSON.stringify(near)}?).`;
  });
  const more = unknown.length - warnings.length;
  return more > 0
    ? [
        ...warnings,
        say`${method.title} has no ${more} further settings of this configuration; they are ignored.`,
      ]
    : warnings;
}
