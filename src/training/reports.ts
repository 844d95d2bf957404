/** What the page shows of a model, from the loaded model itself. */
import { kernelOf } from '../models/load.ts';
import type { ModelReport, ModuleRow } from './protocol.ts';
import type { OpenedModel } from './source.ts';

const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

export function reportModel(opened: OpenedModel, name = opened.name): ModelReport {
  const { model } = opened;
  const modules = model.modules.map(
    (m): ModuleRow => ({
      name: m.name,
      kind: m.kind === 'layernorm' ? 'norm' : m.kind,
      in: m.in,
      out: m.out,
      hasBias: m.parameters.bias !== undefined,
      ...kernelOf(m),
      parameters: Object.values(m.parameters).reduce((n, p) => n + size(p.shape), 0),
    }),
  );
  return {
    name,
    family: model.family,
    task: model.task,
    opset: model.onnx.opset,
    parameters: modules.reduce((n, m) => n + m.parameters, 0),
    bytes: opened.bytes.reduce((n, b) => n + b.length, 0),
    modules,
  };
}
