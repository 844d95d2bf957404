/** Errors as plain values, as they cross from workers. */
import { PapilioError } from '../lib/errors.ts';
import type { ErrorReport } from './protocol.ts';

export function errorReport(error: unknown): ErrorReport {
  if (error instanceof PapilioError)
    return { kind: error.kind, message: error.message, details: error.details };
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'internal', message: `Something went wrong inside Papilio: ${message}`, details: {} };
}
