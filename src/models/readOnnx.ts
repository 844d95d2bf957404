/** The graph among the files of a model: of its one .onnx file, or of an encoder's and a decoder's, joined. */
import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from 'onnx-buf';
import type { InputFile } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { decodeModel, externalFiles } from '../onnx/decode.ts';
import { inlineFunctions } from '../onnx/inline.ts';
import { mapSubgraphs, withFields } from '../onnx/proto.ts';
import type { OnnxModel } from '../onnx/types.ts';
import { viewModel } from '../onnx/view.ts';
import { isOperator } from './import/fold.ts';
import { ownerOf } from './import/names.ts';

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
  const note =
    functions.length > 1
      ? say`The file defines ${functions.length} operators of its own (${name}, …); a merged file has what they stand for in the place of each, and computes the same.`
      : say`The file defines ${name}; a merged file has what it stands for in the place of each, and computes the same.`;
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
export function sortFiles<File extends InputFile>(files: readonly File[]): SortedFiles<File> {
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
export function readOnnx({ onnx, data }: SortedFiles<InputFile>): ReadModel {
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
  const only =
    names[0] ?? fail('not-found', say`There is no .onnx file among the files of the model; add it.`);
  return { ...read(only), separate: null };
}

// An encoder and a decoder in two files (encoder_model.onnx, decoder_model.onnx) joined into the one graph that is trained, and taken
// apart again afterwards, so that each file keeps its own inputs and outputs.

type Rename = (name: string) => string;

interface Parts {
  readonly encoder: OnnxModel;
  readonly decoder: OnnxModel;
}

const HIDDEN = 'encoder_hidden_states';

/** Values renamed throughout, subgraphs included; node names by `path`. */
function renamedNodes(nodes: readonly NodeProto[], rename: Rename, path: Rename): NodeProto[] {
  const renameAll = (names: readonly string[]) => names.map((name) => (name === '' ? '' : rename(name)));
  return nodes.map((node) => {
    const { input, output, name } = node;
    const fields = {
      input: renameAll(input),
      output: renameAll(output),
      ...(name ? { name: path(name) } : {}),
    };
    return mapSubgraphs(withFields(NodeProtoSchema, node, fields), (g) => renamedGraph(g, rename, path));
  });
}

function renamedGraph(graph: GraphProto, rename: Rename, path: Rename): GraphProto {
  const called = <T extends { name: string }>(item: T): T => ({ ...item, name: rename(item.name) });
  return withFields(GraphProtoSchema, graph, {
    node: renamedNodes(graph.node, rename, path),
    initializer: graph.initializer.map(called),
    input: graph.input.map(called),
    output: graph.output.map(called),
    valueInfo: graph.valueInfo.map(called),
  });
}

/**
 * Where the encoder's modules hang in the whole model: its file names them from its own root (`layers.0.fc1`), the decoder's file from
 * the model's (`model.decoder.layers.0.fc1`).
 */
function encoderRoot({ encoder, decoder }: Parts): string {
  const names = (model: OnnxModel): string[] => [
    ...[...model.graph.initializers.keys()].flatMap((name) => ownerOf(name)?.module ?? []),
    ...model.graph.nodes.flatMap(({ name }) =>
      name.startsWith('/') ? name.slice(1).replaceAll('/', '.') : [],
    ),
  ];
  const base = names(decoder).some((name) => name.startsWith('model.decoder.')) ? 'model.' : '';
  const own = names(encoder);
  if (own.some((name) => name.startsWith(`${base}encoder.`))) return '';
  return own.some((name) => name.startsWith('encoder.')) ? base : `${base}encoder.`;
}

interface Names {
  readonly encoder: Rename;
  readonly decoder: Rename;
  readonly encoderPath: Rename;
}

function namesOf(parts: Parts): Names {
  const { encoder, decoder } = parts;
  const root = encoderRoot(parts);
  const constants = new Set([...encoder.graph.initializers.keys(), ...encoder.graph.constants.keys()]);
  const kept = new Set(encoder.graph.inputs.map(({ name }) => name));
  const hidden = encoder.graph.outputs[0]!.name;
  const takes = new Set(decoder.graph.inputs.map(({ name }) => name));
  const ownMask = encoder.graph.inputs.some(({ name }) => name === 'attention_mask');
  const decoderInputs = new Map(
    [...takes].map((name) => {
      if (name === HIDDEN) return [name, `encoder/${hidden}`];
      if (name === 'encoder_attention_mask' && ownMask) return [name, 'attention_mask'];
      return [name, /^(input_ids|attention_mask|position_ids)$/.test(name) ? `decoder_${name}` : name];
    }),
  );
  return {
    encoder: (name) => {
      if (kept.has(name)) return name;
      // Names that exporters make up must keep that look.
      if (constants.has(name))
        return ownerOf(name) ? `${root}${name}` : `onnx::encoder_${name.replace(/^onnx::/, '')}`;
      return `encoder/${name}`;
    },
    decoder: (name) => decoderInputs.get(name) ?? name,
    encoderPath: (name) =>
      name.startsWith('/') ? `/${root.replaceAll('.', '/')}${name.slice(1)}` : `encoder/${name}`,
  };
}

/**
 * @throws PapilioError 'unsupported-onnx' where the second file takes no encoder_hidden_states, the two are of different opsets, or
 * both hold a tensor of one name
 */
export function joinEncoderDecoder(parts: Parts): OnnxModel {
  const { encoder, decoder } = parts;
  if (!decoder.graph.inputs.some(({ name }) => name === HIDDEN)) {
    fail(
      'unsupported-onnx',
      say`The second file takes no ${HIDDEN}, so it is no decoder of the first; choose encoder_model.onnx and decoder_model.onnx of one model.`,
    );
  }
  if (encoder.opset !== decoder.opset) {
    fail(
      'unsupported-onnx',
      say`The encoder is of opset ${encoder.opset} and the decoder of ${decoder.opset}; export both in one go.`,
    );
  }
  const names = namesOf(parts);
  const first = renamedGraph(encoder.graph.proto, names.encoder, names.encoderPath);
  const second = renamedGraph(decoder.graph.proto, names.decoder, (name) => name);
  const taken = new Set(second.initializer.map(({ name }) => name));
  const clash = first.initializer.find(({ name }) => taken.has(name));
  if (clash) {
    fail(
      'unsupported-onnx',
      say`Encoder and decoder both hold a tensor called ${clash.name}; export the model as one file instead.`,
    );
  }
  const inputs = new Map([...first.input, ...second.input].map((v) => [v.name, v]));
  for (const { output } of first.node) for (const name of output) inputs.delete(name);
  const domains = new Map(
    [...encoder.proto.opsetImport, ...decoder.proto.opsetImport].map((o) => [o.domain, o]),
  );
  const graph = create(GraphProtoSchema, {
    name: second.name,
    node: [...first.node, ...second.node],
    initializer: [...first.initializer, ...second.initializer],
    input: [...inputs.values()],
    output: second.output,
    valueInfo: [...first.valueInfo, ...second.valueInfo],
  });
  const proto: ModelProto = withFields(ModelProtoSchema, decoder.proto, {
    graph,
    opsetImport: [...domains.values()],
  });
  return viewModel(proto, new Map([...encoder.external, ...decoder.external]));
}

/**
 * The two files again, with the weights that a joined model has now.
 * @param joined made by {@link joinEncoderDecoder} of the same parts, weights changed since
 */
export function separateEncoderDecoder(joined: OnnxModel, parts: Parts): Parts {
  const names = namesOf(parts);
  const take = (part: OnnxModel, rename: Rename, path: Rename): OnnxModel => {
    const before = part.graph.proto;
    const back = new Map<string, string>();
    for (const { name } of [...before.initializer, ...before.input]) back.set(rename(name), name);
    for (const { output } of before.node) for (const name of output) if (name) back.set(rename(name), name);
    const paths = new Map(before.node.map(({ name }) => [path(name), name]));
    const undo: Rename = (name) => back.get(name) ?? name;
    const unpath: Rename = (name) => paths.get(name) ?? name;
    const own = new Set(before.node.flatMap(({ output }) => output.filter(Boolean).map(rename)));
    const all = joined.graph.proto;
    const nodes = all.node.filter(({ output }) => output.some((name) => own.has(name)));
    const read = new Set(nodes.flatMap(({ input }) => input));
    const known = new Set(before.initializer.map(({ name }) => rename(name)));
    // Clones for one reader, which training made, belong to the file of that reader.
    const initializer = all.initializer
      .filter(({ name }) => known.has(name) || (read.has(name) && !back.has(name)))
      .map((t) => ({ ...t, name: undo(t.name) }));
    const node = renamedNodes(nodes, undo, unpath);
    const graph = withFields(GraphProtoSchema, before, { node, initializer });
    return viewModel(withFields(ModelProtoSchema, part.proto, { graph }), part.external);
  };
  return {
    encoder: take(parts.encoder, names.encoder, names.encoderPath),
    decoder: take(parts.decoder, names.decoder, (name) => name),
  };
}
