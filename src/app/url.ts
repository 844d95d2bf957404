/**
 * The address's hash: schema version, preset, seed, and only what differs from them. Reading goes through the form's validator, so a
 * link can say nothing that the form would refuse.
 */
import { within } from '../lib/budget.ts';
import { PapilioError } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';
import { presetById } from './presets.ts';
import { baseOf, differingFields, type PageSettings, validateSettings } from './settings.ts';

const VERSION = '1';

/** A value as short as it can be read back: text as it is unless it looks like JSON. */
function encodeValue(value: unknown): string {
  return typeof value === 'string' && asJson(value) === undefined ? value : JSON.stringify(value);
}

function asJson(text: string): unknown {
  try {
    return jsonOf(text);
  } catch {
    return undefined;
  }
}

/** The hash without its "#". Dropped files and pasted text stay out: a link carries settings, never data. */
export function encodeHash(settings: PageSettings): string {
  const preset = presetById(settings.preset);
  const base = baseOf(settings);
  const out = new URLSearchParams({ v: VERSION, preset: settings.preset });
  for (const key of ['model', 'data', 'method'] as const)
    if (settings[key] !== preset[key]) out.set(key, settings[key]);
  // Only what is given: what is left open is where a run starts, which depends on the model.
  for (const key of differingFields(base.config, settings.config))
    out.set(`c.${key}`, encodeValue(settings.config[key]));
  for (const key of differingFields({ ...base.training }, { ...settings.training }))
    if (key !== 'seed') out.set(`t.${key}`, encodeValue(settings.training[key as 'steps']));
  out.set('seed', String(settings.training.seed));
  return out.toString();
}

/** Sentences on one link, and letters of each: more are no news. */
const MOST_PROBLEMS = 20;
const MOST_LETTERS = 400;

function inBrief(problems: readonly string[]): string[] {
  const told = problems
    .slice(0, MOST_PROBLEMS)
    .map((problem) => (problem.length > MOST_LETTERS ? `${problem.slice(0, MOST_LETTERS)} …` : problem));
  const more = problems.length - told.length;
  return more === 0
    ? told
    : [...told, `${more.toLocaleString('en-GB')} more parts of it are not used either.`];
}

/** Settings of a hash (with or without "#"), and a sentence for everything in it that could not be used. */
export function decodeHash(hash: string): ReturnType<typeof validateSettings> {
  try {
    within('linkLetters', hash.length, 'The link');
  } catch (error) {
    if (!(error instanceof PapilioError)) throw error;
    const { settings } = validateSettings({ config: {}, training: {} });
    return { settings, problems: [error.message] };
  }
  const params = new URLSearchParams(hash.replace(/^#/, ''));
  // Without a prototype: a link may call a field anything.
  const config: Record<string, unknown> = Object.create(null);
  const training: Record<string, unknown> = Object.create(null);
  const strange: string[] = [];
  for (const [key, text] of params) {
    const value = asJson(text) === undefined ? text : asJson(text);
    if (key.startsWith('c.')) config[key.slice(2)] = value;
    else if (key.startsWith('t.')) training[key.slice(2)] = value;
    else if (key === 'seed') training.seed = value;
    else if (!['v', 'preset', 'model', 'data', 'method'].includes(key))
      strange.push(`The link’s “${key}” means nothing here and is ignored.`);
  }
  const version = params.get('v');
  if (version !== null && version !== VERSION)
    strange.push(
      `The link is of version ${version}; this page reads version ${VERSION} and takes what it knows.`,
    );
  const { settings, problems } = validateSettings({
    preset: params.get('preset') ?? undefined,
    model: params.get('model') ?? undefined,
    data: params.get('data') ?? undefined,
    method: params.get('method') ?? undefined,
    config,
    training,
  });
  return { settings, problems: inBrief([...strange, ...problems]) };
}
