/** FourierFT as PEFT has it: the weight update is the inverse Fourier transform of a few learned real coefficients. */
import { z } from 'zod';
import { FOURIERFT_TARGETS } from '../defaultTargets.ts';
import { biasField, field, fileFields, layerFields, size } from '../fields.ts';
import { lookupFrequencyPattern } from '../patterns.ts';
import { describeModule, noticeFanInFanOut, refuseLayersWithExpression } from '../rules.ts';
import type { AdapterMethod, Layer } from '../types.ts';
import { fourierLocations } from './locations.ts';

/** Coefficients of one layer: their places are drawn and kept. */
const MOST_FREQUENCIES = 2 ** 22;

const schema = z.object({
  ...fileFields,
  ...layerFields,
  n_frequency: field(size(MOST_FREQUENCIES), 1000, {
    title: 'Frequencies',
    description: 'Learned coefficients per layer, at most inputs times outputs.',
    symbol: 'n',
    group: 'main',
    min: 1,
    max: 10000,
    step: 1,
  }),
  scaling: field(z.number(), 150, {
    title: 'Scaling',
    description: 'Factor on the update; it acts like a learning rate of the adapter.',
    symbol: '\\alpha',
    group: 'main',
    min: 0,
  }),
  random_loc_seed: field(z.int().nullable(), 777, {
    title: 'Location seed',
    description: 'Chooses which frequencies are learned; the same places as in PEFT for the same seed.',
    group: 'advanced',
  }),
  n_frequency_pattern: field(
    z.record(z.string(), size(MOST_FREQUENCIES)),
    {},
    {
      title: 'Frequencies by module',
      description: 'Module name or expression to its own number of frequencies.',
      group: 'advanced',
    },
  ),
  bias: biasField('fourier_only'),
  init_weights: field(z.boolean(), false, {
    title: 'Start at zero',
    description:
      'true: the adapter starts without effect; false (the paper): random coefficients, so the model changes at once.',
    group: 'advanced',
  }),
});

export type FourierftConfig = z.output<typeof schema>;

/** Coefficients of a layer, its n_frequency_pattern entry considered. */
export function frequencyCount(layer: Layer, config: FourierftConfig): number {
  return lookupFrequencyPattern(config.n_frequency_pattern, layer.name, config.n_frequency);
}

/**
 * What the paper trains: squares of width 768, 1000 frequencies, a scaling of 150 at a rate of 5e-2. Ten times the scaling at a tenth of the
 * rate is the same update, at a rate that also suits a head that trains beside it.
 */
const PAPER = { width: 768, frequencies: 1000, scaling: 1500 };

/**
 * Frequencies and scaling for layers of these sizes, beginning without effect.
 *
 * With n coefficients of size s, an entry of ΔW has size α s √(n/2) / (d_out d_in), while one of W has about 1 / √d_in. So the share of
 * W that a step of Adam changes is proportional to α √n / (d_out √d_in); α keeps it what it is for the paper's sizes. Unchanged it would be 40
 * times too much for a model of width 64. Layers of several sizes share one α: their geometric mean counts.
 */
function fourierStart(layers: readonly Layer[], given: Readonly<Record<string, unknown>>) {
  const { width, frequencies, scaling } = PAPER;
  const fewest = Math.min(frequencies, ...layers.map((layer) => layer.in * layer.out));
  const n = typeof given.n_frequency === 'number' ? given.n_frequency : fewest;
  const sizes = layers.map((layer) => Math.log(layer.out * Math.sqrt(layer.in)));
  const mean =
    layers.length === 0 ? width ** 1.5 : Math.exp(sizes.reduce((a, b) => a + b, 0) / layers.length);
  const suited = scaling * (mean / width ** 1.5) * Math.sqrt(frequencies / Math.max(1, n));
  return { n_frequency: fewest, scaling: Number(suited.toPrecision(2)), init_weights: true };
}

export const fourierft: AdapterMethod<FourierftConfig> = {
  id: 'fourierft',
  peftType: 'FOURIERFT',
  title: 'FourierFT',
  family: 'spectral',
  card: {
    idea: 'Treat the weight update as a picture and learn a handful of its frequencies. Very few numbers touch every entry of the weight.',
    formula:
      '\\Delta W_{pq} = \\frac{\\alpha}{d_{out} d_{in}} \\sum_{k=1}^{n} s_k \\cos 2\\pi\\Bigl(\\frac{p\\,u_k}{d_{out}} + \\frac{q\\,v_k}{d_{in}}\\Bigr)',
    tryThis:
      'Use n = 10 and look at the update: single waves. Then n = 1000, and raise the scaling until training becomes unstable.',
    paper:
      'Gao et al., Parameter-Efficient Fine-Tuning with Discrete Fourier Transform, 2024 (arXiv:2405.03003)',
  },
  start: { learningRate: 5e-3, config: fourierStart },
  size: [{ field: 'n_frequency', values: { min: 1, max: 1_000_000 } }],
  schema,
  fixed: {},
  requiredInFile: [],
  targets: 'required',
  defaultTargets: FOURIERFT_TARGETS,
  fileNames: ['fourierft_spectrum'],
  refuse(config) {
    if (config.random_loc_seed === null) return 'manual_seed expected a long, but got NoneType';
    return refuseLayersWithExpression(config);
  },
  check(layer, config) {
    if (layer.kind === 'embedding' || layer.kind === 'conv2d') {
      return `Target module ${describeModule(layer)} is not supported. Currently, only the following modules are supported: \`torch.nn.Linear\`.`;
    }
    const n = frequencyCount(layer, config);
    if (n <= 0) return `\`n_frequency\` should be a positive integer value but the value passed is ${n}`;
    const entries = layer.in * layer.out;
    if (n > entries) {
      return `\`n_frequency\` should be less than or equal to the product of the input and output dimensions but the value passed is ${n} and the product is ${entries}`;
    }
    return null;
  },
  notice: (layer, config) => noticeFanInFanOut(layer, config.fan_in_fan_out),
  count(layer, config) {
    const n = frequencyCount(layer, config);
    return { stored: n, free: n };
  },
  pattern(layer, config) {
    const { row, column } = fourierLocations(
      layer.out,
      layer.in,
      frequencyCount(layer, config),
      config.random_loc_seed ?? 0,
    );
    return {
      role: 'update',
      factors: [{ kind: 'points', label: 'S', rows: layer.out, columns: layer.in, row, column }],
    };
  },
  tensors(layer, config) {
    return [
      {
        name: 'fourierft_spectrum',
        shape: [frequencyCount(layer, config)],
        trainable: true,
        init: config.init_weights ? { kind: 'zeros' } : { kind: 'normal', mean: 0, std: 1 },
      },
    ];
  },
  onRead: (config) => ({ config, warnings: [] }),
  onWrite: () => [],
};
