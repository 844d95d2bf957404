/**
 * The link that carries a setup, in the address's hash: schema version, preset, seed, and only what differs from them. Reading goes through the
 * form's validator, so a link can say nothing that the form would refuse. It carries settings, never data: what it leaves out is told.
 */
import type { StoreApi } from 'zustand/vanilla';
import { anyOf, jsonOf, PapilioError, say, whole, within } from '../../../common.ts';
import { nameOf } from '../../../hub.ts';
import { type DataSource, ENGINES, type ModelSource } from '../../../protocol.ts';
import { type ChoiceState, withPadding, withPrecision } from './choice.ts';
import { presetById } from './presets.ts';
import { baseOf, differingFields, type PageSettings, shortly, validateSettings } from './settings.ts';

const LINK_VERSION = '1';

/** What a link carries beside the settings: the values of each, and the one that goes without saying; null: none does. */
const BESIDE = {
  padding: { values: ['length', 'longest'], usual: 'length' },
  engine: { values: ENGINES, usual: null },
  /** Of a model that comes with the page. */
  precision: { values: ['file', 'f16', 'q4'], usual: 'file' },
  recompute: { values: ['no', 'yes'], usual: 'no' },
  quantised: { values: ['requantise', 'float'], usual: 'requantise' },
} as const;

type BesideName = keyof typeof BESIDE;

/** Names of the Hub and addresses, as the box takes them that fetches from there. */
const FROM = { modelFrom: 'model', dataFrom: 'data' } as const;
type FromName = keyof typeof FROM;
const FROM_NAMES = Object.keys(FROM) as FromName[];
/** No name is longer, and few addresses. */
const MOST_NAME = 2000;

export type Beside = { readonly [K in BesideName]?: (typeof BESIDE)[K]['values'][number] } & {
  readonly [K in FromName]?: string;
};

const BESIDE_NAMES = Object.keys(BESIDE) as BesideName[];

/** What a link follows from. */
export type Linkable = Pick<
  ChoiceState,
  'settings' | 'model' | 'data' | 'named' | 'reading' | 'engine' | 'recompute' | 'quantised'
>;

/** What a page is set to beside its settings. */
export const besideOf = (choice: Linkable): Beside => ({
  ...settingsBeside(choice),
  ...Object.fromEntries(
    FROM_NAMES.flatMap((name) => {
      const from = fromOf(choice, FROM[name]);
      return from === undefined ? [] : [[name, from]];
    }),
  ),
});

/** What model or data are fetched from, by the name that was fetched last or that the link gave. */
function fromOf({ settings, model, data, named }: Linkable, what: 'model' | 'data'): string | undefined {
  if (settings[what] !== 'hub') return undefined;
  const source = what === 'model' ? model : data;
  return source?.kind === 'hub' || source?.kind === 'url' ? nameOf(source) : named[what];
}

const settingsBeside = ({ reading, engine, model, recompute, quantised }: Linkable): Beside => ({
  padding: reading.padding ?? 'length',
  ...(engine === null ? {} : { engine }),
  ...(model?.kind === 'embedded' ? { precision: model.precision ?? 'file' } : {}),
  recompute: recompute ? 'yes' : 'no',
  quantised,
});

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

/** The hash without its "#". */
export function encodeHash(settings: PageSettings, beside: Beside = {}): string {
  const preset = presetById(settings.preset);
  const base = baseOf(settings);
  const out = new URLSearchParams({ v: LINK_VERSION, preset: settings.preset });
  for (const key of ['model', 'data', 'method'] as const)
    if (settings[key] !== preset[key]) out.set(key, settings[key]);
  // Only what is given: what is left open is where a run starts, which depends on the model.
  for (const key of differingFields(base.config, settings.config))
    out.set(`c.${key}`, encodeValue(settings.config[key]));
  for (const key of differingFields({ ...base.training }, { ...settings.training }))
    if (key !== 'seed') out.set(`t.${key}`, encodeValue(settings.training[key as 'steps']));
  for (const name of BESIDE_NAMES) {
    const value = beside[name];
    if (value !== undefined && value !== BESIDE[name].usual) out.set(name, value);
  }
  for (const name of FROM_NAMES) if (beside[name] !== undefined) out.set(name, beside[name]);
  out.set('seed', encodeValue(settings.training.seed));
  return out.toString();
}

/** Sentences on one link, and letters of each: more are no news. */
const MOST_PROBLEMS = 20;
const MOST_LETTERS = 400;

function inBrief(problems: readonly string[]): string[] {
  const first = problems
    .slice(0, MOST_PROBLEMS)
    .map((problem) => (problem.length > MOST_LETTERS ? `${problem.slice(0, MOST_LETTERS)} …` : problem));
  const more = problems.length - first.length;
  return more === 0 ? first : [...first, say`${whole(more)} more parts of it are not used either.`];
}

interface Linked extends ReturnType<typeof validateSettings> {
  /** What it names beside them that is not usual. */
  readonly beside: Beside;
}

/** What a link names beside the settings, and a sentence for each that cannot be used. */
function besideIn(params: URLSearchParams): { readonly beside: Beside; readonly problems: string[] } {
  const problems: string[] = [];
  const beside: Partial<Record<BesideName | FromName, string>> = {};
  for (const name of BESIDE_NAMES) {
    const value = params.get(name);
    const { values, usual } = BESIDE[name];
    if (value === null || value === usual) continue;
    if ((values as readonly string[]).includes(value)) beside[name] = value;
    else problems.push(say`${name} = ${shortly(value)} is not used: choose ${anyOf(values)}.`);
  }
  for (const name of FROM_NAMES) {
    const value = params.get(name)?.trim();
    if (value === undefined || value === '') continue;
    if (value.length <= MOST_NAME) beside[name] = value;
    else problems.push(say`${name} is not used: a name has at most ${MOST_NAME} letters.`);
  }
  return { beside: beside as Beside, problems };
}

/** What of it has a place in these settings. */
function fitting(
  beside: Beside,
  settings: PageSettings,
): { readonly used: Beside; readonly problems: string[] } {
  const problems: string[] = [];
  const used: Record<string, string> = { ...beside };
  const leave = (name: keyof Beside, why: string) => {
    if (used[name] !== undefined) problems.push(say`${name} = ${shortly(used[name])} is not used: ${why}.`);
    delete used[name];
  };
  if (settings.model === 'own' || settings.model === 'hub')
    leave('precision', say`it is chosen once the model is there`);
  for (const name of FROM_NAMES)
    if (settings[FROM[name]] !== 'hub')
      leave(
        name,
        FROM[name] === 'model'
          ? say`the model is not fetched from anywhere`
          : say`the data is not fetched from anywhere`,
      );
  return { used: used as Beside, problems };
}

/** Everything else that a link may have; a lesson is opened by whoever shows it. */
const PLAIN_NAMES = ['v', 'preset', 'model', 'data', 'method', 'lesson', ...BESIDE_NAMES, ...FROM_NAMES];

/** What a hash says (with or without "#"), and a sentence for everything in it that could not be used. */
export function decodeHash(hash: string): Linked {
  try {
    within('linkLetters', hash.length, say`The link`);
  } catch (error) {
    if (!(error instanceof PapilioError)) throw error;
    const { settings } = validateSettings({ config: {}, training: {} });
    return { settings, beside: {}, problems: [error.message] };
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
    else if (!PLAIN_NAMES.includes(key))
      strange.push(say`The link’s “${key}” means nothing here and is ignored.`);
  }
  const version = params.get('v');
  if (version !== null && version !== LINK_VERSION)
    strange.push(
      say`The link is of version ${version}; this page reads version ${LINK_VERSION} and takes what it knows.`,
    );
  const { beside, problems: unused } = besideIn(params);
  const { settings, problems } = validateSettings({
    preset: params.get('preset') ?? undefined,
    model: params.get('model') ?? undefined,
    data: params.get('data') ?? undefined,
    method: params.get('method') ?? undefined,
    config,
    training,
  });
  const { used, problems: unfit } = fitting(beside, settings);
  unused.push(...unfit);
  return {
    settings,
    beside: used,
    problems: inBrief([...strange, ...unused, ...problems]),
  };
}

/** Chooses what a link says, as far as it can be used; what cannot is told where the link opens a page. */
export function takeLink(
  {
    choice,
    setSettings,
  }: { readonly choice: StoreApi<ChoiceState>; setSettings(settings: PageSettings): void },
  hash: string,
): void {
  const { settings, beside, problems } = decodeHash(hash);
  const { padding, engine = null, precision = 'file', recompute, quantised = 'requantise' } = beside;
  const named = {
    ...(beside.modelFrom === undefined ? {} : { model: beside.modelFrom }),
    ...(beside.dataFrom === undefined ? {} : { data: beside.dataFrom }),
  };
  choice.setState(({ reading }) => ({
    ...{ problems, engine, named },
    reading: withPadding(reading, padding),
  }));
  setSettings(settings);
  choice.setState(({ model }) => ({
    ...(model?.kind === 'embedded' ? { model: withPrecision(model, precision) } : {}),
    recompute: recompute === 'yes',
    quantised,
  }));
}

/** A source in a few words that no link can hold; null for what comes with the page or is fetched by its name. */
function ownName(what: 'model' | 'data', source: ModelSource | DataSource | null): string | null {
  switch (source?.kind) {
    case undefined:
    case 'embedded':
    case 'hub':
      return null;
    case 'url':
      return nameOf(source) === source.url
        ? null
        : what === 'model'
          ? say`what is secret in the address of the model`
          : say`what is secret in the address of the data`;
    case 'text':
      return say`your text`;
    case 'drawings':
      return say`your drawings`;
    case 'files': {
      const [first, ...more] = source.files;
      const names =
        more.length > 0 ? say`${first!.name} and ${more.length} more` : (first?.name ?? say`no file`);
      return what === 'model' ? say`your model (${names})` : say`your data (${names})`;
    }
  }
}

/** What a page is set to that its link does not hold. */
export function leftOut({ model, data, reading, startFrom }: ChoiceState): string[] {
  const { padding: _, ...read } = reading;
  const names = [
    ownName('model', model),
    model?.kind !== 'embedded' && model?.precision !== undefined
      ? say`what its weights are rounded to`
      : null,
    ownName('data', data),
    Object.keys(read).length > 0 ? say`how its columns are read` : null,
    startFrom === null ? null : say`the adapter that the run goes on from (${startFrom.name})`,
  ];
  return names.filter((name) => name !== null);
}
