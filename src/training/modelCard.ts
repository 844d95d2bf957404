/**
 * The model card of a merged file: README.md of its folder, as the Hub reads it. It says what the run says of itself, and what nobody has checked;
 * names from strangers' files stand in it as code. It is in English in every language of the page.
 */
import type { AdapterMethod } from '../adapters/types.ts';
import { visible } from '../lib/names.ts';
import { inEnglish } from '../lib/say.ts';
import type { ParityReport } from './parity.ts';
import type { DataSource, EvalMetric, MergeReport, ModelSource, OpenReport } from './protocol.ts';
import type { TrainingSettings } from './settings.ts';
import {
  type Exported,
  onnxruntimeSnippet,
  pipelineTask,
  type Snippet,
  transformersSnippet,
} from './snippets.ts';
import { ENGINE_TITLES, scoredOn } from './words.ts';

export interface CardOf {
  readonly name: string;
  readonly method: Pick<AdapterMethod, 'id' | 'title'>;
  /** Of the adapter, as it was trained. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly training: TrainingSettings;
  readonly steps: number;
  /** Of the last step; null where there was none. */
  readonly loss: number | null;
  /** The first held-out score and the last; null where nothing was measured. */
  readonly scores: readonly [before: EvalMetric, after: EvalMetric] | null;
  readonly sources: { readonly model: ModelSource; readonly data: DataSource };
  readonly open: Pick<OpenReport, 'model' | 'data' | 'device' | 'warningsInEnglish'> & {
    readonly counts: Pick<OpenReport['counts'], 'trainable'>;
  };
  readonly merged: Pick<MergeReport, 'inputs' | 'outputs' | 'sidecars'> & {
    readonly parity: ParityReport | null;
  };
  /** What came of the run, in sentences, made when the card is. */
  readonly remarks: () => readonly string[];
}

const whole = (n: number): string => n.toLocaleString('en-GB', { maximumFractionDigits: 0 });
const real = (x: number): string =>
  Number.isFinite(x) && (Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3))
    ? x.toExponential(2)
    : x.toPrecision(4);
const scoreText = ({ metric, value }: EvalMetric): string =>
  metric === 'accuracy' ? `${(100 * value).toPrecision(3)} %` : real(value);

/** The licence of models and data that come with the page. */
const OWN_LICENCE = 'https://opensource.org/license/mit';

/** A text from elsewhere, on one line, as code. */
const code = (text: string): string => `\`${visible(text).replaceAll('`', 'ˋ').replaceAll(/\s/g, ' ')}\``;

const HUB = 'https://huggingface.co';

/** Where a source is from, and what is known of its licence. */
function originOf(
  what: 'model' | 'dataset',
  name: string,
  source: ModelSource | DataSource,
): { readonly from: string; readonly licence: string } {
  switch (source.kind) {
    case 'embedded':
      return { from: `${code(name)}, which comes with Papilio`, licence: `MIT, as Papilio (${OWN_LICENCE})` };
    case 'hub': {
      const at = source.revision === undefined ? '' : ` at ${code(source.revision)}`;
      const page = `${source.hub ?? HUB}/${what === 'dataset' ? 'datasets/' : ''}${source.repo}`;
      return {
        from: `${code(source.repo)} of the Hub${at}`,
        licence: `was not read: what ${page} says holds for this too`,
      };
    }
    case 'url':
      return {
        from: code(source.url),
        licence: 'is not known to Papilio: whoever publishes this must look it up',
      };
    default:
      return {
        from: `${code(name)}, opened from files or written by hand`,
        licence: 'is not known to Papilio: whoever publishes this must look it up',
      };
  }
}

const MOST_LABELS = 20;

function labelsText(labels: readonly string[]): string {
  const shown = labels.slice(0, MOST_LABELS).map(code).join(', ');
  return labels.length > MOST_LABELS ? `${shown} and ${labels.length - MOST_LABELS} more` : shown;
}

/** What the Hub reads first. */
function frontMatter({ sources: { model }, method, open }: CardOf): string[] {
  const task = pipelineTask(open.data);
  const isNamed = model.kind === 'hub' && model.hub === undefined && /^[\w.-]+\/[\w.-]+$/.test(model.repo);
  return [
    '---',
    'library_name: transformers.js',
    ...(task === null ? [] : [`pipeline_tag: ${task}`]),
    ...(isNamed ? [`base_model: ${model.repo}`] : []),
    ...(open.model.modelType !== null && /^[\w-]+$/.test(open.model.modelType)
      ? [`tags: [onnx, papilio, ${method.id}, ${open.model.modelType}]`]
      : [`tags: [onnx, papilio, ${method.id}]`]),
    '---',
    '',
  ];
}

function baseSection({ sources, open }: CardOf): string[] {
  const { model, data } = open;
  const base = originOf('model', model.name, sources.model);
  const { precision = 'file' } = sources.model;
  const from = originOf('dataset', data.name, sources.data);
  return [
    '## Base model and data',
    '',
    `- Base: ${base.from}; ${code(model.family)}, ${whole(model.parameters)} numbers, opset ${model.opset}.`,
    `- Its licence ${base.licence}.`,
    ...(precision === 'file'
      ? []
      : [
          `- Its weights were rounded while loading (${precision === 'f16' ? '16 bits' : '4 bits'}); the file holds the rounded ones.`,
        ]),
    `- Data: ${from.from}; ${whole(data.trainExamples)} examples to learn from, ${whole(data.heldExamples)} held aside.`,
    `- Its licence ${from.licence}.`,
    ...(data.labels.length > 0 ? [`- Classes: ${labelsText(data.labels)}.`] : []),
    ...data.notesInEnglish.map((note) => `- ${visible(note)}`),
    '',
  ];
}

/** Fields that are set to something. */
const saying = (config: CardOf['config']) =>
  Object.fromEntries(
    Object.entries(config).filter(
      ([, value]) => value !== null && !(typeof value === 'object' && Object.keys(value).length === 0),
    ),
  );

function methodSection({ method, config, training, steps, open }: CardOf): string[] {
  const { trainable } = open.counts;
  const { device } = open;
  const by = `${ENGINE_TITLES[device.engine]}${device.engine === 'onnxruntime' ? ' on the processor' : ''}`;
  const on = [...new Set([device.vendor, device.architecture, device.description])]
    .filter(Boolean)
    .join(', ');
  return [
    '## Method and settings',
    '',
    `${method.title}: ${whole(trainable.stored)} numbers trained (${whole(trainable.free)} free), ${whole(steps)} steps, by ${by} (${code(on)}).`,
    '',
    '```json',
    JSON.stringify({ method: method.id, config: saying(config), training }, null, 2),
    '```',
    '',
  ];
}

function figuresSection({ scores, loss, merged, remarks }: CardOf): string[] {
  const measured = ([before, after]: readonly [EvalMetric, EvalMetric]) => [
    `| | before | after step ${whole(after.step)} |`,
    '| --- | ---: | ---: |',
    `| held-out ${after.metric} | ${scoreText(before)} | ${scoreText(after)} |`,
    `| held-out loss | ${real(before.loss)} | ${real(after.loss)} |`,
    '',
    `Both on ${scoredOn(after)}.`,
  ];
  return [
    '## Figures of this run',
    '',
    ...(scores === null ? ['Nothing was measured on held-out examples.'] : measured(scores)),
    ...(loss === null ? [] : ['', `Loss of the last step: ${real(loss)}.`]),
    '',
    ...(merged.parity === null ? [] : [merged.parity.english, '']),
    ...remarks().flatMap((remark) => [visible(remark), '']),
  ];
}

const fenced = (title: string, snippet: Snippet): string[] =>
  'code' in snippet
    ? [title, '', '```js', snippet.code.trimEnd(), '```', '']
    : [`${title} ${visible(snippet.reason)}`, ''];

function unchecked({ scores, open, merged }: CardOf): string[] {
  const after = scores?.[1];
  const { parity } = merged;
  return [
    '## What was not checked',
    '',
    `- Answers on anything but the held-out examples${after === undefined ? '' : ` (${scoredOn(after)})`}; they are drawn from the same data as those that were learnt from.`,
    `- Other runtimes than onnxruntime-web${parity?.provider ? ` (${parity.provider})` : ''}, where ${
      parity === null ? 'nothing' : `${whole(parity.values)} numbers`
    } were compared with the trainer’s; the lines for transformers.js were written, not run, for this file.`,
    '- Bias, safety, and whether the model is fit for any use.',
    '- The licences of base model and data beyond what is said above.',
    ...open.warningsInEnglish.map((warning) => `- ${visible(warning)}`),
    '',
  ];
}

/** As it lies in its own folder. */
const exportedOf = ({ name, open, merged }: CardOf): Exported => ({
  ...{ name, file: 'onnx/model.onnx' },
  ...{ inputs: merged.inputs, outputs: merged.outputs },
  files: merged.sidecars.map((file) => file.name),
  ...{ data: open.data, model: open.model },
});

/** In English, whatever is spoken. */
export const modelCard = (of: CardOf): string => inEnglish(() => written(of));

function written(of: CardOf): string {
  const { name, method, open } = of;
  const exported = exportedOf(of);
  return [
    ...frontMatter(of),
    `# ${name}`,
    '',
    `${code(open.model.name)}, fine-tuned with ${method.title} on ${code(open.data.name)} by Papilio, and merged: \`onnx/model.onnx\` has the graph of the base model and no adapter beside it.`,
    '',
    ...baseSection(of),
    ...methodSection(of),
    ...figuresSection(of),
    '## How to run',
    '',
    ...fenced('With transformers.js, beside this folder:', transformersSnippet(exported)),
    ...fenced('With onnxruntime-web, in this folder:', onnxruntimeSnippet(exported)),
    ...unchecked(of),
  ].join('\n');
}
