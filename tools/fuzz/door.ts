/** What is fuzzed: a door is a reader of the product, with files that it reads and a way to spoil them. */
import type { InputFile } from '../../src/lib/bytes.ts';
import type { Rng } from '../../src/lib/rng.ts';

/** What one trial gives to a door: files, and what else the door is told, as plain JSON. */
export interface Input {
  readonly files: readonly InputFile[];
  readonly told?: Readonly<Record<string, unknown>>;
}

export interface Door {
  readonly name: string;
  readonly about: string;
  /** Inputs that are read, made by code or taken from the test fixtures. */
  seeds(): readonly Input[];
  mutate(input: Input, random: Rng): Input;
  /** The input with one element of it many times, 1 to 8 MB of it: what is small in a file and large in memory. */
  enlarge?(input: Input, random: Rng): Input;
  /** Opens the input as the product does, to the end. @throws PapilioError where it cannot be used */
  open(input: Input): void | Promise<void>;
  /** Share of the inputs when all doors are asked; 1 unless told. */
  readonly weight?: number;
}

export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const fuzzFile = (name: string, content: string | Uint8Array): InputFile => ({
  name,
  bytes: typeof content === 'string' ? utf8(content) : content,
});

/** The input with one of its files changed. */
export function withFile(
  input: Input,
  random: Rng,
  change: (bytes: Uint8Array, name: string) => Uint8Array,
): Input {
  if (input.files.length === 0) return input;
  const at = random.int(input.files.length);
  return {
    ...input,
    files: input.files.map((file, i) =>
      i === at ? { ...file, bytes: change(file.bytes, file.name) } : file,
    ),
  };
}

/** The input with one file replaced by name. */
export const replaceFile = (input: Input, name: string, bytes: Uint8Array): Input => ({
  ...input,
  files: input.files.map((file) => (file.name === name ? { name, bytes } : file)),
});
