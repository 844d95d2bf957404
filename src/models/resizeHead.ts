/** Gives a classifier another number of classes: a new last layer in the ONNX model itself, so that all else stays as it is. */
import { GraphProtoSchema, ModelProtoSchema } from 'onnx-buf';
import { fail } from '../lib/errors.ts';
import { rng } from '../lib/rng.ts';
import { freeNames } from '../onnx/edit.ts';
import { valueInfoProto, withFields } from '../onnx/proto.ts';
import { readersOf } from '../onnx/readers.ts';
import { type Route, reroute } from '../onnx/reroute.ts';
import { makeTensor } from '../onnx/tensor.ts';
import type { OnnxModel, OnnxTensor } from '../onnx/types.ts';
import { viewModel } from '../onnx/view.ts';
import type { ModuleInfo, ParamOrigin } from './import/modules.ts';
import { toFloat } from './mergeFloat.ts';

/** Standard deviation of Hugging Face's new heads (`initializer_range`). */
const INIT_STD = 0.02;

/**
 * @param head the layer that gives the logits
 * @param output name of the logits among the model's outputs
 */
export function resizeHead(
  file: OnnxModel,
  head: ModuleInfo,
  output: string,
  classes: number,
  seed: number,
): OnnxModel {
  const { weight, bias } = head.parameters;
  if (!weight || (head.kind !== 'linear' && head.kind !== 'conv1d')) {
    return fail(
      'unsupported-onnx',
      `The classifier ${head.name} is no linear layer, so it cannot be given ${classes} classes.`,
    );
  }
  const random = rng(seed, 0x4ead);
  const dims = weight.transposed ? [head.in, classes] : [classes, head.in];
  const values = Float32Array.from({ length: classes * head.in }, () => INIT_STD * random.normal());
  const replaced = new Map<string, OnnxTensor>();
  const routes: Route[] = [];
  const readers = readersOf(file.graph);
  const freeName = freeNames(file);
  let onnx = file;
  const replace = (name: string, origin: ParamOrigin, shape: readonly number[], data: Float32Array): void => {
    // What was kept in codes is new and small, so it becomes float.
    if (origin.quant) onnx = toFloat(onnx, { ...origin.quant, shape }, data, `${head.name}.${name}`).onnx;
    // What other modules read as well stays theirs.
    else if ((readers.of.get(origin.initializer) ?? []).length > origin.readings.length) {
      const tensor = makeTensor(freeName(`${head.name}.${name}`), origin.tensor.dtype, shape, data);
      routes.push({ places: origin.readings, tensor });
    } else replaced.set(origin.initializer, makeTensor(origin.initializer, origin.tensor.dtype, shape, data));
  };
  replace('weight', weight, dims, values);
  if (bias) replace('bias', bias, [classes], new Float32Array(classes));
  onnx = reroute(onnx, routes);
  const { proto } = onnx.graph;
  const missing = [...replaced.keys()].find((name) => !onnx.graph.initializers.has(name));
  if (missing)
    fail(
      'unsupported-onnx',
      `The classifier's weight ${missing} is no initialiser, so it cannot be given ${classes} classes.`,
    );
  // Shapes noted along the way end in the old number of classes; they are hints, and onnxruntime infers them anew.
  const old = head.out;
  const stale = new Set(
    [...onnx.graph.valueInfo.values()].filter((v) => v.dims?.at(-1) === old).map((v) => v.name),
  );
  const graph = withFields(GraphProtoSchema, proto, {
    initializer: proto.initializer.map((t) => replaced.get(t.name)?.proto ?? t),
    valueInfo: proto.valueInfo.filter((v) => !stale.has(v.name)),
    output: proto.output.map((o) => {
      const type = o.name === output ? onnx.graph.outputs.find((v) => v.name === output) : undefined;
      const elemType = o.type?.value.case === 'tensorType' ? o.type.value.value.elemType : undefined;
      if (!type?.dims || elemType === undefined) return o;
      return valueInfoProto(o.name, elemType, [...type.dims.slice(0, -1), classes]);
    }),
  });
  return viewModel(withFields(ModelProtoSchema, onnx.proto, { graph }), onnx.external);
}
