/** A repository's listing as it may be used: whoever answers for a Hub decides no file name and no length that is none. */
import { z } from 'zod';
import type { Listing } from './types.ts';

const COMMIT = /^[0-9a-f]{40}$/;

/** Relative, with forward slashes; no way up, no control characters, no half of a character, which no address can hold. */
const isPath = (path: string): boolean =>
  path.length <= 4096 &&
  // Half of a surrogate pair.
  !/\p{Surrogate}/u.test(path) &&
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  !/[\u0000-\u001f\u007f-\u009f\\]/.test(path) &&
  !/^[a-z]:/i.test(path) &&
  path.split('/').every((part) => !['', '.', '..'].includes(part));

const fileSchema = z.object({
  path: z.string().refine(isPath, 'its path does not stay in the repository'),
  size: z.int('its size is no whole number').min(0, 'its size is below 0'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'its SHA-256 is none')
    .nullable(),
  oid: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, "Git's hash of it is none"),
});

const listingSchema = z.object({
  hub: z.string(),
  kind: z.enum(['model', 'dataset']),
  repo: z.string(),
  revision: z.string(),
  commit: z.string().regex(COMMIT),
  isGated: z.boolean(),
  files: z.array(fileSchema),
});

/** A kept listing, or null for what is none: then the Hub is asked again. */
export function parseListing(value: unknown): Listing | null {
  const parsed = listingSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}

/** One entry of a listing, or why it is none. */
export function parseEntry(value: unknown): Listing['files'][number] | string {
  const parsed = fileSchema.safeParse(value);
  return parsed.success ? parsed.data : (parsed.error.issues[0]?.message ?? 'it is no file');
}
