/** What a link says to the page, and the expressions of a configuration. */

import { validateConfig } from '../../../src/adapters/config.ts';
import { METHODS, type MethodId } from '../../../src/adapters/registry.ts';
import { completeConfig, selectTargets } from '../../../src/adapters/targets.ts';
import { PapilioError } from '../../../src/lib/errors.ts';
import type { Rng } from '../../../src/lib/rng.ts';
import { derive } from '../../../src/page/features/setup/derive.ts';
import { decodeHash, encodeHash } from '../../../src/page/features/setup/link.ts';
import { PRESETS } from '../../../src/page/features/setup/presets.ts';
import { baseSettings, MODELS, runTraining, targetModel } from '../../../src/page/features/setup/settings.ts';
import { visionReport } from '../../../test/unit/page-fixtures.ts';
import { type Door, fuzzFile, type Input, textOf, utf8 } from '../door.ts';
import { mutateJson, mutateTree, ODD_NAMES, treeOf } from '../mutate/json.ts';
import { mutatePattern } from '../mutate/pattern.ts';
import { mutateText } from '../mutate/text.ts';

const METHOD_IDS = Object.keys(METHODS) as MethodId[];
const FIELDS = [...new Set(METHOD_IDS.flatMap((id) => Object.keys(METHODS[id].schema.shape)))];
const SETTINGS = [
  'learningRate',
  'steps',
  'batchSize',
  'sequenceLength',
  'seed',
  'epochs',
  'optimizer',
  'evalEvery',
];
const PATTERNS = ['target_modules', 'exclude_modules', 'modules_to_save', 'layers_pattern'];

const hashes = (): Input[] => [
  ...PRESETS.map(({ id }) => ({ files: [fuzzFile('link', encodeHash(baseSettings(id)))] })),
  ...METHOD_IDS.map((method) => ({
    files: [
      fuzzFile('link', `v=1&preset=letters-boft&model=own&method=${method}&c.target_modules=.*query&seed=1`),
    ],
  })),
];

/** Any value, as a link writes it. */
const anyValue = (random: Rng): string =>
  mutateTree(treeOf(random.pick([8, 'x', ['query'], { query: 4 }])), random);

function spoilLink(link: string, random: Rng): string {
  const params = new URLSearchParams(link);
  for (let changes = 1 + random.int(4); changes > 0; changes--) {
    switch (random.int(9)) {
      case 0:
        params.set('method', random.pick([...METHOD_IDS, ...ODD_NAMES]));
        break;
      case 1:
        params.set(
          random.pick(['model', 'data', 'preset', 'v']),
          random.pick([...Object.keys(MODELS), ...ODD_NAMES]),
        );
        break;
      case 2:
        params.set(`t.${random.pick([...SETTINGS, ...ODD_NAMES])}`, anyValue(random));
        break;
      case 3:
      case 4:
        params.set(`c.${random.pick(PATTERNS)}`, mutatePattern('.*\\.query', random));
        break;
      case 5:
        params.set(
          `c.${random.pick(['rank_pattern', 'alpha_pattern', 'n_frequency_pattern'])}`,
          JSON.stringify({ [mutatePattern('query', random)]: random.pick([4, 1e9, -1]) }),
        );
        break;
      case 6:
        params.append(random.pick(ODD_NAMES), anyValue(random));
        break;
      default:
        params.set(`c.${random.pick([...FIELDS, ...ODD_NAMES])}`, anyValue(random));
    }
  }
  const text = params.toString();
  return random.chance(0.1) ? mutateText(text, random) : text;
}

const report = visionReport();

export const link: Door = {
  name: 'link',
  about: "the page's address: settings read, and everything derived from them for a model",
  seeds: hashes,
  weight: 2,
  mutate: (input, random) => ({
    files: [fuzzFile('link', spoilLink(textOf(input.files[0]!.bytes), random))],
  }),
  open({ files }) {
    try {
      const { settings } = decodeHash(`#${textOf(files[0]!.bytes)}`);
      derive(settings, null);
      derive(settings, report);
      runTraining(settings, report);
      decodeHash(encodeHash(settings));
    } catch (error) {
      // The page is drawn from these, so they say what is wrong and never throw it.
      throw error instanceof PapilioError ? new Error(`thrown: ${error.message}`) : error;
    }
  },
};

const configs = (): Input[] =>
  METHOD_IDS.filter((id) => METHODS[id].targets !== 'none').map((method) => ({
    files: [fuzzFile('config.json', JSON.stringify({ target_modules: '.*\\.query' }))],
    told: { method },
  }));

function spoilConfig(text: string, random: Rng): string {
  const config = JSON.parse(text) as Record<string, unknown>;
  for (let changes = 1 + random.int(3); changes > 0; changes--) {
    const pattern = mutatePattern(
      random.pick(['.*\\.query', 'query|value', 'layer\\.[01]\\..*', '(.*)dense']),
      random,
    );
    const field = random.pick([...PATTERNS, 'target_modules', 'rank_pattern', 'alpha_pattern']);
    if (field.endsWith('_pattern') && field !== 'layers_pattern') config[field] = { [pattern]: 2 };
    else config[field] = field === 'modules_to_save' || random.chance(0.2) ? [pattern, 'query'] : pattern;
    if (field === 'layers_pattern')
      Object.assign(config, { layers_to_transform: [0], target_modules: ['query'] });
  }
  return JSON.stringify(config);
}

/** The report, and modules of names that patterns find hard. */
const model = (() => {
  const known = targetModel(report);
  const [first] = known.layers;
  const long = ['a'.repeat(200), `${'layer.'.repeat(40)}query`, `${'x'.repeat(60)}.1.${'y'.repeat(60)}`];
  return { ...known, layers: [...known.layers, ...long.map((name) => ({ ...first!, name }))] };
})();

export const expression: Door = {
  name: 'expression',
  about: 'target_modules and the other patterns of a configuration, matched with the names of modules',
  seeds: configs,
  weight: 2,
  mutate: (input, random) => ({
    ...input,
    files: [
      {
        name: 'config.json',
        bytes: utf8((random.chance(0.1) ? mutateJson : spoilConfig)(textOf(input.files[0]!.bytes), random)),
      },
    ],
  }),
  open({ files, told }) {
    const method = METHODS[told?.method as MethodId];
    let json: unknown;
    try {
      json = JSON.parse(textOf(files[0]!.bytes));
    } catch {
      json = null;
    }
    // Where it comes from, the reader of the file has seen that it is an object.
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return;
    const { config } = validateConfig(method, json as Record<string, unknown>);
    selectTargets(method, completeConfig(method, config, model), model);
  },
};
