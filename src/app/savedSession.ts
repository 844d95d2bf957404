/** What the browser kept of a run, held against what a page writes: storage is read as any file is, and what does not fit is a sentence. */
import { z } from 'zod';
import { METHODS, type MethodId } from '../adapters/registry.ts';
import { PapilioError } from '../lib/errors.ts';
import type { RunRequest } from '../training/protocol.ts';
import { trainingSchema } from '../training/settings.ts';
import type { SavedSession } from './sessions.ts';
import { type PageSettings, validateSettings } from './settings.ts';

const bytes = z.instanceof(Uint8Array);
const file = z.object({ name: z.string(), bytes: z.union([bytes, z.instanceof(Blob)]) });
const options = z.record(z.string(), z.unknown());
const fetched = [
  z.looseObject({ kind: z.literal('hub'), repo: z.string() }),
  z.looseObject({ kind: z.literal('url'), url: z.string() }),
] as const;
const given = [
  z.looseObject({ kind: z.literal('embedded'), name: z.string() }),
  z.looseObject({ kind: z.literal('files'), files: z.array(file).min(1) }),
] as const;
const drawn = z.object({ label: z.string(), images: z.array(z.instanceof(Float32Array)) });

const method = z.enum(Object.keys(METHODS) as [MethodId, ...MethodId[]]);
const request = z.looseObject({
  model: z.discriminatedUnion('kind', [...given, ...fetched]),
  data: z.discriminatedUnion('kind', [
    ...given,
    ...fetched,
    z.looseObject({ kind: z.literal('text'), text: z.string() }),
    z.looseObject({ kind: z.literal('drawings'), size: z.int().min(1).max(4096), classes: z.array(drawn) }),
  ]),
  method,
  config: options,
  training: trainingSchema,
  adapter: z.array(z.object({ name: z.string(), bytes })).optional(),
});

const session = z
  .object({
    name: z.string().min(1).max(200),
    step: z.int().min(0),
    totalSteps: z.int().min(1),
    savedAt: z.number(),
    settings: z.object({
      preset: z.string(),
      model: z.string(),
      data: z.string(),
      method,
      config: options,
      training: options,
    }),
    checkpoint: bytes.refine(({ length }) => length > 0, 'holds no bytes'),
    request,
  })
  .refine(({ step, totalSteps }) => step <= totalSteps, {
    path: ['step'],
    message: 'is beyond the last step',
  });

/** @throws PapilioError 'checkpoint' that says what does not fit */
export function readSession(kept: unknown): SavedSession {
  const { data, error } = session.safeParse(kept);
  if (error !== undefined) {
    const { path, message } = error.issues[0]!;
    throw new PapilioError(
      'checkpoint',
      `What this browser keeps of a run cannot be gone on with: ${path.join('.') || 'it'}: ${message}. It may be another version's; forget it to make room.`,
    );
  }
  const { settings } = validateSettings(data.settings);
  return {
    ...data,
    settings: { ...settings, training: data.request.training } satisfies PageSettings,
    request: data.request as unknown as RunRequest,
  };
}
