/** The models of a folder, each in a folder of its own, and data made up on the spot in what each of them takes. */
import { basename, join } from 'node:path';
import { kindOf, listFolder } from '../../../src/cli/runtime.ts';
import { modelSource, surroundings } from '../../../src/cli/sources.ts';
import { fail, PapilioError } from '../../../src/lib/errors.ts';
import { rng } from '../../../src/lib/rng.ts';
import { type OpenedModel, openModel } from '../../../src/training/openModel.ts';
import type { DataSource, ModelSource, Task } from '../../../src/training/protocol.ts';
import { classNames, taskOf } from '../../../src/training/tasks.ts';
import { type Parts, partsOf } from './kinds.ts';

export interface Subject {
  readonly name: string;
  readonly source: ModelSource;
  readonly opened: OpenedModel;
  readonly parts: Parts;
  /** Null where there is no data for what it takes (sound, two texts at once): such a model is adapted and merged, not trained. */
  readonly training: { readonly task: Task; readonly data: DataSource } | null;
}

/** The folders in a folder that hold a model. */
export async function subjectNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await listFolder(folder)).sort())
    if ((await kindOf(join(folder, name, 'model.onnx'))) === 'file') names.push(name);
  return names.length > 0 ? names : fail('not-found', `${folder} holds no folder with a model.onnx in it.`);
}

/** @throws PapilioError where the model cannot be read */
export async function openSubject(folder: string): Promise<Subject> {
  const source = await modelSource(join(folder, 'model.onnx'));
  const opened = await openModel(source, surroundings);
  const task = trainingTask(opened);
  return {
    name: basename(folder),
    source,
    opened,
    parts: partsOf(opened.model),
    training: task && { task, data: madeUp(task, opened) },
  };
}

function trainingTask(opened: OpenedModel): Task | null {
  try {
    return taskOf(opened);
  } catch (error) {
    if (error instanceof PapilioError && error.kind === 'unsupported-onnx') return null;
    throw error;
  }
}

/** Words of the tokenizer that are words. */
function wordsOf({ tokenizer }: OpenedModel): string[] {
  const words: string[] = [];
  for (let id = 0; tokenizer && id < tokenizer.vocabSize; id++) {
    const word = tokenizer.token(id)?.replace(/^[Ġ▁]/, '');
    if (word && /^[a-z]{2,}$/.test(word)) words.push(word);
  }
  return words;
}

const ROWS = 12;

function madeUp(task: Task, opened: OpenedModel): DataSource {
  const random = rng(17);
  const words = wordsOf(opened);
  const text = (length: number): string =>
    Array.from({ length }, () => (words.length > 0 ? random.pick(words) : 'word')).join(' ');
  const labels = classNames(opened.model) ?? ['first', 'second'];
  const table = (header: string, row: (i: number) => string): DataSource => ({
    kind: 'files',
    files: [
      {
        name: 'rows.csv',
        bytes: new TextEncoder().encode(
          [header, ...Array.from({ length: ROWS }, (_, i) => row(i))].join('\n'),
        ),
      },
    ],
  });
  switch (task) {
    case 'causal-lm':
    case 'masked-lm':
      return { kind: 'text', text: text(160) };
    case 'regression':
      return table('text,label', () => `${text(3)},${random.normal().toFixed(3)}`);
    case 'text-classification':
      return table('text,label', (i) => `${text(2 + (i % 3))},${labels[i % labels.length]}`);
    case 'token-classification':
      return table('tokens,tags', () => `${text(3)},${[0, 1, 2].map(() => random.pick(labels)).join(' ')}`);
    case 'image-classification':
      return pictures(labels, opened.model.image?.width ?? 16, random);
  }
}

function pictures(labels: readonly string[], size: number, random: ReturnType<typeof rng>): DataSource {
  const image = () => Float32Array.from({ length: size * size }, () => random.uniform());
  return {
    kind: 'drawings',
    size,
    classes: labels.map((label) => ({ label, images: Array.from({ length: 4 }, image) })),
  };
}
