/**
 * The model card of a merged file: README.md of its folder, as the Hub reads it. It says what the run says of itself, and what nobody has checked;
 * names from strangers' files stand in it as code.
 */
import { visible } from '../../../common.ts';
import { METHODS } from '../../../methods.ts';
import {
  type DataSource,
  type ModelSource,
  type OpenReport,
  type RunRequest,
  scoredOn,
} from '../../../protocol.ts';
import { real, scoreText, whole } from '../../format.ts';
import type { MergeResult } from '../../stores.ts';
import type { RunRecord } from '../training/runs.ts';
import { type Exported, onnxruntimeSnippet, type Snippet, transformersSnippet } from './snippets.ts';

export interface CardOf {
  readonly run: Pick<RunRecord, 'name' | 'settings' | 'series'>;
  readonly request: Pick<RunRequest, 'model' | 'data' | 'method' | 'config'>;
  readonly open: OpenReport;
  readonly merged: MergeResult;
  /** What came of the run, in sentences. */
  readonly remarks: readonly string[];
}

/** Where models and data that come with the page are from. */
const OWN = 'https://opensource.org/license/mit';

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
      return { from: `${code(name)}, which comes with Papilio`, licence: `MIT, as Papilio (${OWN})` };
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
function frontMatter({ request, open }: CardOf, task: string | null): string[] {
  const { model } = request;
  const isNamed = model.kind === 'hub' && model.hub === undefined && /^[\w.-]+\/[\w.-]+$/.test(model.repo);
  return [
    '---',
    'library_name: transformers.js',
    ...(task === null ? [] : [`pipeline_tag: ${task}`]),
    ...(isNamed ? [`base_model: ${model.repo}`] : []),
    ...(open.model.modelType !== null && /^[\w-]+$/.test(open.model.modelType)
      ? [`tags: [onnx, papilio, ${request.method}, ${open.model.modelType}]`]
      : [`tags: [onnx, papilio, ${request.method}]`]),
    '---',
    '',
  ];
}

function baseSection({ request, open }: CardOf): string[] {
  const { model, data } = open;
  const base = originOf('model', model.name, request.model);
  const { precision = 'file' } = request.model;
  const from = originOf('dataset', data.name, request.data);
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
    ...data.notes.map((note) => `- ${visible(note)}`),
    '',
  ];
}

function methodSection({ run, request, open }: CardOf): string[] {
  const { trainable } = open.counts;
  const { device } = open;
  const step = run.series.column('step').at(-1) ?? 0;
  return [
    '## Method and settings',
    '',
    `${METHODS[request.method].title}: ${whole(trainable.stored)} numbers trained (${whole(trainable.free)} free), ${whole(step)} steps, by ${
      device.engine === 'webgpu' ? 'WebGPU' : 'onnxruntime on the processor'
    } (${code([device.vendor, device.architecture, device.description].filter(Boolean).join(', '))}).`,
    '',
    '```json',
    JSON.stringify(
      { method: request.method, config: request.config, training: run.settings.training },
      null,
      2,
    ),
    '```',
    '',
  ];
}

function figuresSection({ run, merged, remarks }: CardOf): string[] {
  const { evals } = run.series;
  const [before] = evals;
  const after = evals.at(-1);
  const losses = run.series.column('loss');
  return [
    '## Figures of this run',
    '',
    ...(before === undefined || after === undefined
      ? ['Nothing was measured on held-out examples.']
      : [
          `| | before | after step ${whole(after.step)} |`,
          '| --- | ---: | ---: |',
          `| held-out ${after.metric} | ${scoreText(before)} | ${scoreText(after)} |`,
          `| held-out loss | ${real(before.loss)} | ${real(after.loss)} |`,
          '',
          `Both on ${scoredOn(after)}.`,
        ]),
    ...(losses.length > 0 ? ['', `Loss of the last step: ${real(losses.at(-1)!)}.`] : []),
    '',
    ...(merged.parity === null ? [] : [merged.parity.sentence, '']),
    ...remarks.flatMap((remark) => [visible(remark), '']),
  ];
}

const fenced = (title: string, snippet: Snippet): string[] =>
  'code' in snippet
    ? [title, '', '```js', snippet.code.trimEnd(), '```', '']
    : [`${title} ${visible(snippet.reason)}`, ''];

function unchecked({ run, open, merged }: CardOf): string[] {
  const after = run.series.evals.at(-1);
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
    ...open.warnings.map((warning) => `- ${visible(warning)}`),
    '',
  ];
}

/** What the snippets need to know of a merged run. */
export const exportedOf = ({ run, open, merged }: Pick<CardOf, 'run' | 'open' | 'merged'>): Exported => ({
  name: run.name,
  inputs: merged.inputs,
  outputs: merged.outputs,
  files: merged.sidecars.map(({ name }) => name),
  data: open.data,
  model: open.model,
});

export function modelCard(of: CardOf): string {
  const { run, open, request } = of;
  const exported = exportedOf(of);
  const transformers = transformersSnippet(exported);
  const [, task = null] =
    ('code' in transformers ? /pipeline\("([\w-]+)"/.exec(transformers.code) : null) ?? [];
  return [
    ...frontMatter(of, task),
    `# ${run.name}`,
    '',
    `${code(open.model.name)}, fine-tuned with ${METHODS[request.method].title} on ${code(open.data.name)} by Papilio in a browser tab, and merged: \`onnx/model.onnx\` has the graph of the base model and no adapter beside it.`,
    '',
    ...baseSection(of),
    ...methodSection(of),
    ...figuresSection(of),
    '## How to run',
    '',
    ...fenced('With transformers.js, beside this folder:', transformers),
    ...fenced(
      `With onnxruntime-web, beside the merged file (\`onnx/model.onnx\` as \`${run.name}.onnx\`) and the tokenizer’s files:`,
      onnxruntimeSnippet(exported),
    ),
    ...unchecked(of),
  ].join('\n');
}
