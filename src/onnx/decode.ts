/** From the bytes of an .onnx file, with the data files beside it, to an OnnxModel. */
import { fromBinary } from '@bufbuild/protobuf';
import type { GraphProto, ModelProto, NodeProto } from 'onnx-buf';
import { ModelProtoSchema } from 'onnx-buf';
import { plainBytes } from '../lib/bytes.ts';
import { fail } from '../lib/errors.ts';
import { externalLocation, isExternal } from './external.ts';
import type { ExternalFiles, OnnxModel } from './types.ts';
import { viewModel } from './view.ts';
import { scanWire } from './wire.ts';

const LFS_POINTER = 'version https://git-lfs';

function decodeProto(given: Uint8Array): ModelProto {
  const bytes = plainBytes(given);
  if (bytes.length === 0) fail('malformed-onnx', 'The file is empty, so it is not an ONNX model.');
  if (new TextDecoder().decode(bytes.subarray(0, LFS_POINTER.length)) === LFS_POINTER)
    fail(
      'malformed-onnx',
      'The file is a Git LFS pointer, not the model itself; download the model with "git lfs pull".',
    );
  scanWire(ModelProtoSchema, bytes);
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    // The scan should have refused it; whatever the decoder still objects to is a fault of the file.
    return fail(
      'malformed-onnx',
      `The file is not a readable ONNX model: ${error instanceof Error ? error.message : error}.`,
    );
  }
}

/**
 * Decodes a model. Tensors are views: neither `bytes` nor the external files are copied, so both must stay unchanged while the model
 * is in use. All lengths are checked before anything of their size is allocated.
 * @param external data files by the path the model uses for them (see {@link externalFiles})
 * @throws PapilioError malformed-onnx saying what is wrong and where
 */
export function decodeModel(bytes: Uint8Array, external: ExternalFiles = new Map()): OnnxModel {
  const proto = decodeProto(bytes);
  const files = new Map([...external].map(([path, content]) => [path, plainBytes(content)]));
  try {
    return viewModel(proto, files);
  } catch (error) {
    if (error instanceof RangeError)
      fail('out-of-memory', `The model does not fit into memory: ${error.message}.`);
    throw error;
  }
}

function collectLocations(graph: GraphProto, into: Set<string>): void {
  for (const tensor of graph.initializer)
    if (isExternal(tensor)) into.add(externalLocation(tensor, `initialiser "${tensor.name}"`));
  collectOfNodes(graph.node, into);
}

function collectOfNodes(nodes: readonly NodeProto[], into: Set<string>): void {
  for (const node of nodes)
    for (const { t, g, name } of node.attribute) {
      if (t && isExternal(t)) into.add(externalLocation(t, `attribute "${name}"`));
      if (g) collectLocations(g, into);
    }
}

/**
 * The data files a model needs beside it, as paths relative to its folder, so that a caller can fetch them before decoding.
 * @throws PapilioError malformed-onnx as {@link decodeModel}
 */
export function externalFiles(bytes: Uint8Array): string[] {
  const { graph, functions } = decodeProto(bytes);
  const found = new Set<string>();
  if (graph) collectLocations(graph, found);
  for (const f of functions) collectOfNodes(f.node, found);
  return [...found];
}
