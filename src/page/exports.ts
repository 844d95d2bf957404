/** Files to take away: names, contents, and the browser's save. */
import type { PickedFile } from '../common.ts';
import type { RunRecord } from './features/training/runs.ts';
import { smooth } from './features/training/series.ts';

/** Raw and smoothed, evaluations on the rows of their steps. */
export function metricsCsv(run: RunRecord, beta: number): string {
  const { series } = run;
  const loss = series.column('loss');
  const smoothed = smooth(loss, beta);
  const evals = new Map(series.evals.map((e) => [e.step, e]));
  const lines = [
    `step,loss,loss_smoothed_ema_${beta},learning_rate,grad_norm,examples,tokens,seconds,eval_metric,eval_value,eval_loss`,
  ];
  const row = (step: number, cells: readonly (number | string)[]) => {
    const e = evals.get(step);
    evals.delete(step);
    lines.push([step, ...cells, ...(e ? [e.metric, e.value, e.loss] : ['', '', ''])].join(','));
  };
  const first = evals.get(0);
  if (first !== undefined && series.column('step')[0] !== 0) row(0, ['', '', '', '', '', '', '']);
  for (let i = 0; i < series.length; i++) {
    const at = (name: Parameters<typeof series.column>[0]) => series.column(name)[i]!;
    row(at('step'), [
      loss[i]!,
      smoothed[i]!,
      at('learningRate'),
      at('gradNorm'),
      at('examples'),
      at('tokens'),
      at('seconds'),
    ]);
  }
  return `${lines.join('\n')}\n`;
}

/** Everything that decides the run, as JSON that the command line's --config understands in its `config`. */
export function runJson(run: RunRecord): string {
  const { preset, model, data, method, config, training } = run.settings;
  return `${JSON.stringify({ name: run.name, preset, model, data, method, config, training }, null, 2)}\n`;
}

/** Loads the merged file and, for PEFT's methods, the adapter in Python. */
export function pythonSnippet(run: RunRecord, inputs: readonly string[]): string {
  const feeds = inputs.map((name) => `"${name}": ${name}`).join(', ');
  const lines = [
    '# The merged model, anywhere onnxruntime runs',
    'import onnxruntime as ort',
    `session = ort.InferenceSession("${run.name}.onnx")`,
    `logits = session.run(["logits"], {${feeds}})[0]`,
  ];
  if (run.settings.method !== 'head' && run.settings.method !== 'full') {
    lines.push(
      '',
      `# The adapter alone, on the PyTorch model it belongs to (unzip ${run.name}-adapter.zip first)`,
      'from peft import PeftModel',
      `model = PeftModel.from_pretrained(base_model, "${run.name}-adapter")`,
      'model = model.merge_and_unload()',
    );
  }
  return lines.join('\n');
}

/** Weights do not shrink. */
const STORED = /\.(onnx|onnx_data|safetensors)$/;

/** A zip where the browser keeps it: files pass through in pieces, so that no large one is in memory whole for it. */
export async function zipOf(files: readonly PickedFile[]): Promise<Blob> {
  const { Zip, ZipDeflate, ZipPassThrough } = await import('fflate');
  const parts: Blob[] = [];
  let problem: Error | null = null;
  const zip = new Zip((error, piece) => {
    if (error) problem = error;
    else parts.push(new Blob([piece as BlobPart]));
  });
  for (const { name, bytes } of files) {
    const entry = STORED.test(name) ? new ZipPassThrough(name) : new ZipDeflate(name, { level: 6 });
    zip.add(entry);
    const reader = new Blob([bytes as BlobPart]).stream().getReader();
    for (let { value } = await reader.read(); value !== undefined; { value } = await reader.read())
      entry.push(value);
    entry.push(new Uint8Array(0), true);
  }
  zip.end();
  if (problem !== null) throw problem;
  return new Blob(parts, { type: 'application/zip' });
}

/** Lets the browser save something under a name. */
export function saveFile(
  name: string,
  content: Uint8Array | Blob | string,
  type = 'application/octet-stream',
): void {
  const kept = content instanceof Blob ? content : new Blob([content as BlobPart], { type });
  const url = URL.createObjectURL(kept);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download reads the address after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
