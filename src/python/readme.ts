/** README.md of a project, in English: how to start it, what is in it, and what cannot carry over. */
import type { Base, PythonRun } from './base.ts';
import { isPeft } from './settings.ts';

/** Names as they may stand in a sentence of Markdown, whatever a file was called. */
export const plain = (name: string) => name.replace(/[^\p{L}\p{N} ._/-]/gu, '_');

/** @param sentences on what is different from the run */
export function readmeFile(run: PythonRun, base: Base, sentences: readonly string[]): string {
  const { recorded, settings } = run;
  const trained = isPeft(run)
    ? '- `adapter/` – the adapter that the run trained, as PEFT saves it'
    : '- `trained.safetensors` – the weights that the run trained';
  const folder = base.kind === 'folder' ? ['- `base/` – the base model, as transformers opens it'] : [];
  const launch =
    base.kind === 'none' ? 'accelerate launch train.py --base OWNER/MODEL' : 'accelerate launch train.py';
  return [
    `# ${plain(run.modelName)} on ${plain(run.dataset.name)} with ${run.method.title}`,
    '',
    'This project goes on with a run of Papilio on as many machines as you have.',
    '',
    '```sh',
    'python -m venv venv && . venv/bin/activate',
    'pip install -r requirements.txt',
    launch,
    '```',
    '',
    'For several GPUs or machines, answer the questions of `accelerate config` once before that. The batch of',
    `${settings.batchSize} examples is shared by all processes, so that the updates stay those of the run; raise it with --batch-size,`,
    'and --learning-rate with it, where machines idle. `python train.py --help` lists all options.',
    '',
    'The first line with a held-out score comes before any update:',
    recorded === null
      ? 'the run was not evaluated at its last step, so there is nothing to hold it against.'
      : `it should be the ${recorded.metric} of ${recorded.value.toFixed(4)} (loss ${recorded.loss.toFixed(4)}) that Papilio found on the same ${recorded.examples} examples.`,
    '',
    '## What is here',
    '',
    '- `train.py` – the loop; `model.py`, `data.py` – what it is made of',
    '- `settings.py` – every setting of the run',
    trained,
    ...folder,
    '- `data/train.jsonl`, `data/held.jsonl` – the examples and the split of the run',
    '- `labels.json` – class names by number',
    '- `requirements.txt` – the versions that these scripts were written for',
    '',
    'The result goes to `out/`, in the form it started from, with `metrics.csv` beside it. Papilio opens it again.',
    '',
    '## What cannot carry over',
    '',
    ...sentences.map((sentence) => `- ${sentence}`),
    '',
  ].join('\n');
}
