/** What is known of the chosen model: of an embedded one by the card beside its file, before any worker runs; of others by the trainer. */

import { fail, say } from '../../../common.ts';
import { TASKS } from '../../../methods.ts';
import type { ModelReport, ModelSource } from '../../../protocol.ts';
import { z } from '../../../schema.ts';
import type { Stores } from '../../stores.ts';
import { reportOf } from '../../task.ts';
import type { TrainerClient } from '../../trainerClient.ts';
import { isSamePlace, withPrecision } from './choice.ts';

const cardSchema = z.object({
  name: z.string(),
  family: z.string(),
  task: z.enum(['image-classification', 'causal-lm', 'masked-lm', 'text-classification', 'other']),
  modelType: z.string().nullable(),
  head: z.string().nullable(),
  trains: z.enum(TASKS).nullable(),
  limit: z.object({ tokens: z.number(), because: z.string() }).nullable().default(null),
  exactly: z.number().nullable().default(null),
  feeds: z.record(z.string(), z.string()).default({}),
  opset: z.number(),
  parameters: z.number(),
  bytes: z.number(),
  modules: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['linear', 'conv1d', 'embedding', 'conv2d', 'norm', 'other']),
      in: z.number(),
      out: z.number(),
      hasBias: z.boolean(),
      kernel: z.tuple([z.number(), z.number()]).exactOptional(),
      parameters: z.number(),
    }),
  ),
});

const cards = new Map<string, Promise<ModelReport>>();

/**
 * The card of an embedded model; fetched once.
 *
 * @throws PapilioError 'network' when it cannot be fetched, 'malformed-file' when it is no card.
 */
function embeddedCard(name: string, root: string): Promise<ModelReport> {
  const known = cards.get(name);
  if (known !== undefined) return known;
  const loading = fetchCard(`${root}models/${name}/card.json`);
  cards.set(name, loading);
  loading.catch(() => cards.delete(name));
  return loading;
}

async function fetchCard(url: string): Promise<ModelReport> {
  const response = await fetch(url).catch(() => null);
  if (response === null)
    fail('network', say`The model's card could not be fetched (${url}); check the connection.`);
  if (!response.ok) fail('network', say`The model's card ${url} answers with status ${response.status}.`);
  const json: unknown = await response.json().catch(() => null);
  const card = cardSchema.safeParse(json);
  if (!card.success) fail('malformed-file', say`${url} is not the card of a model.`);
  return card.data;
}

/**
 * Keeps the report of the chosen model current.
 *
 * @param root address of the folder that holds the embedded models, with a slash at the end
 * @returns what reads a model again whose report is missing
 */
export function followModel(
  { choice }: Pick<Stores, 'choice'>,
  trainer: Pick<TrainerClient, 'describe'>,
  root: string,
): () => void {
  let reading = new AbortController();

  const describe = (model: ModelSource, signal: AbortSignal): Promise<ModelReport> =>
    model.kind === 'embedded'
      ? embeddedCard(model.name, root)
      : trainer.describe(withPrecision(model, 'file')!, signal);

  async function read(): Promise<void> {
    const { model } = choice.getState();
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    if (model === null) {
      choice.setState({ report: null, reportError: null, isReading: false });
      return;
    }
    choice.setState({ isReading: true });
    const found = await describe(model, signal).then(
      (report) => ({ report, reportError: null }),
      (error: unknown) => ({ report: null, reportError: reportOf(error) }),
    );
    if (!signal.aborted) choice.setState({ ...found, isReading: false });
  }

  choice.subscribe((now, before) => {
    if (isSamePlace(now.model, before.model)) return;
    // While a file is read that was put beside a model, its modules stay on screen.
    const isAdded = now.model?.kind === 'files' && before.model?.kind === 'files';
    if (!isAdded) choice.setState({ report: null, reportError: null });
    void read();
  });
  return () => {
    const { report, isReading } = choice.getState();
    if (report === null && !isReading) void read();
  };
}
