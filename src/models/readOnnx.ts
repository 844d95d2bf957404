/** The graph among the files of a model: of its one .onnx file, or of an encoder's and a decoder's, joined. */
import { fail } from '../lib/errors.ts';
import { decodeModel, externalFiles } from '../onnx/decode.ts';
import { inlineFunctions } from '../onnx/inline.ts';
import type { OnnxModel } from '../onnx/types.ts';
import { isOperator } from './import/fold.ts';
import { joinEncoderDecoder, separateEncoderDecoder } from './import/join.ts';

/** A file beside others, by its name alone. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface ReadModel {
  readonly onnx: OnnxModel;
  /** Where two files were joined: each of them again, with the weights that `changed` has. */
  readonly separate:
    | ((changed: OnnxModel) => readonly { readonly name: string; readonly onnx: OnnxModel }[])
    | null;
  /** What became of the operators that a file defines itself: sentences. */
  readonly notes: readonly string[];
}

/** A file with its functions written out. */
interface ReadFile {
  readonly onnx: OnnxModel;
  readonly notes: readonly string[];
}

function withoutFunctions(file: OnnxModel, inputBytes: number): ReadFile {
  const { functions } = file.proto;
  const [first] = functions;
  if (!first) return { onnx: file, notes: [] };
  const name = `${first.domain}.${first.name}`;
  const which = functions.length > 1 ? `${functions.length} operators of its own (${name}, …)` : name;
  const note = `The file defines ${which}; a merged file has what ${functions.length > 1 ? 'they stand' : 'it stands'} for in the place of each, and computes the same.`;
  return { onnx: inlineFunctions(file, isOperator, inputBytes), notes: [note] };
}

/** The name of the file that holds one half of an encoder-decoder, as optimum names them. */
export const halfOf = (names: readonly string[], half: 'encoder' | 'decoder'): string | undefined =>
  names.find((name) => new RegExp(`(^|/)${half}_model[^/]*\\.onnx$`).test(name));

/** The files of a model by what they are. */
export interface SortedFiles<File> {
  readonly onnx: readonly File[];
  /** What the .onnx files name as external data: data, whatever it is called. */
  readonly data: readonly File[];
  readonly others: readonly File[];
}

/** @throws PapilioError 'malformed-onnx' for an .onnx file that is none, and that no other names as its data */
export function sortFiles<File extends ModelFile>(files: readonly File[]): SortedFiles<File> {
  const named = files.filter(({ name }) => name.endsWith('.onnx'));
  const locations = new Map<string, ReadonlySet<string>>();
  const unreadable: (readonly [string, unknown])[] = [];
  for (const { name, bytes } of named) {
    try {
      locations.set(name, new Set(externalFiles(bytes)));
    } catch (error) {
      unreadable.push([name, error]);
    }
  }
  const isData = (name: string): boolean =>
    [...locations].some(([owner, names]) => owner !== name && names.has(name));
  for (const [name, error] of unreadable) if (!isData(name)) throw error;
  return {
    onnx: named.filter(({ name }) => !isData(name)),
    data: files.filter(({ name }) => isData(name)),
    others: files.filter(({ name }) => !name.endsWith('.onnx') && !isData(name)),
  };
}

/** @throws PapilioError 'not-found' without an .onnx file, 'malformed-onnx', 'unsupported-onnx' for halves that do not fit together */
export function readOnnx({ onnx, data }: SortedFiles<ModelFile>): ReadModel {
  const names = onnx.map(({ name }) => name);
  const external = new Map([...onnx, ...data].map(({ name, bytes }) => [name, bytes]));
  const read = (name: string): ReadFile => {
    const { bytes } = onnx.find((f) => f.name === name)!;
    return withoutFunctions(decodeModel(bytes, external), bytes.length);
  };
  const [encoder, decoder] = [halfOf(names, 'encoder'), halfOf(names, 'decoder')];
  if (encoder !== undefined && decoder !== undefined) {
    const halves = [read(encoder), read(decoder)] as const;
    const parts = { encoder: halves[0].onnx, decoder: halves[1].onnx };
    return {
      notes: halves.flatMap(({ notes }) => notes),
      onnx: joinEncoderDecoder(parts),
      separate: (changed) => {
        const apart = separateEncoderDecoder(changed, parts);
        return [
          { name: encoder, onnx: apart.encoder },
          { name: decoder, onnx: apart.decoder },
        ];
      },
    };
  }
  const only = names[0] ?? fail('not-found', 'There is no .onnx file among the files of the model; add it.');
  return { ...read(only), separate: null };
}
