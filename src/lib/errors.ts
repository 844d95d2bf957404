/**
 * The one error type that reaches people. `kind` is stable (tests, the page's actions and exit codes read it); `message` is one
 * sentence that says what is wrong, where, and what to do.
 */
import { say } from './say.ts';

export type ErrorKind =
  | 'malformed-onnx'
  | 'unsupported-onnx'
  | 'malformed-file'
  | 'malformed-adapter'
  | 'unsupported-adapter'
  | 'illegal-config'
  | 'no-target'
  | 'bad-data'
  | 'bad-argument'
  | 'shape'
  | 'not-found'
  | 'no-webgpu'
  | 'no-adapter'
  | 'limit'
  /** Input that would cost more memory or time than it may; see budget.ts. */
  | 'too-large'
  | 'out-of-memory'
  | 'device-lost'
  | 'non-finite'
  | 'quota'
  | 'network'
  /** A licence to accept or a token to give first. */
  | 'forbidden'
  /** Broken off by the user. */
  | 'aborted'
  | 'checkpoint'
  | 'internal';

export class PapilioError extends Error {
  override readonly name = 'PapilioError';
  readonly kind: ErrorKind;
  /** Machine-readable facts behind the sentence: the nodes of an unsupported graph, the row of a bad line. */
  readonly details: Readonly<Record<string, unknown>>;
  constructor(kind: ErrorKind, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.kind = kind;
    this.details = details;
  }
}

/** An error as a plain value, which crosses to and from workers and stands in the page's state. */
export interface ErrorReport {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export function errorReport(error: unknown): ErrorReport {
  if (error instanceof PapilioError)
    return { kind: error.kind, message: error.message, details: error.details };
  const message = error instanceof Error ? error.message : String(error);
  return { kind: 'internal', message: say`Something went wrong inside Papilio: ${message}`, details: {} };
}

/** A report, or an error of any kind, as one of ours. */
export function asPapilioError(reason: unknown): PapilioError {
  if (reason instanceof PapilioError) return reason;
  const { kind, message, details } = (reason ?? {}) as Partial<ErrorReport>;
  return new PapilioError(kind ?? 'internal', message ?? String(reason), details ?? {});
}

/** Kinds after which a run's device or memory is gone. A divergence is none: the update that went wrong was left out. */
export const isFatal = (kind: ErrorKind): boolean => kind === 'device-lost' || kind === 'out-of-memory';

/** Where an error of the language becomes a sentence: what is a sentence already goes on as it is. */
export function passOn(error: unknown): void {
  if (error instanceof PapilioError) throw error;
}

/** Throws a {@link PapilioError}; an expression, so that it can stand after `??`. */
export function fail(
  kind: ErrorKind,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): never {
  throw new PapilioError(kind, message, details);
}

/**
 * What `read` gives, or one of our errors: input whose parts contradict each other in a way that nobody foresaw ends here in a sentence,
 * and not in an error of the language.
 *
 * @param what is read, as the sentence's subject
 */
export function readable<T>(kind: ErrorKind, what: () => string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return unreadable(kind, what(), error);
  }
}

function unreadable(kind: ErrorKind, what: string, error: unknown): never {
  // What is wrong inside is what nobody foresaw.
  if (error instanceof PapilioError && error.kind !== 'internal') throw error;
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  if (name === 'AbortError') throw error;
  if (/allocation failed|out of memory/i.test(message))
    fail('out-of-memory', say`${what} does not fit into memory (${message}); give a smaller file.`);
  const why = /call stack/.test(message)
    ? say`it is nested too deeply`
    : say`its parts do not go together: ${message}`;
  return fail(kind, say`${what} cannot be read, ${why}; the file is damaged, or make it anew.`, {
    cause: stack,
  });
}
