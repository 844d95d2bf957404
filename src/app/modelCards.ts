/** What the page knows of an embedded model before any worker runs: the card beside the file. */
import { z } from 'zod';
import { TASKS } from '../adapters/start.ts';
import { fail } from '../lib/errors.ts';
import type { ModelReport } from '../training/protocol.ts';

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
export function embeddedCard(name: string, root: string): Promise<ModelReport> {
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
    fail('network', `The model's card could not be fetched (${url}); check the connection.`);
  if (!response.ok) fail('network', `The model's card ${url} answers with status ${response.status}.`);
  const json: unknown = await response.json().catch(() => null);
  const card = cardSchema.safeParse(json);
  if (!card.success) fail('malformed-file', `${url} is not the card of a model.`);
  return card.data;
}
