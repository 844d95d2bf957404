/** What the page shows of a model, from the loaded model itself. */
import { kernelOf } from '../models/load.ts';
import { mostTokens } from './contract.ts';
import type { ModelReport, ModuleRow, Task } from './protocol.ts';
import type { OpenedModel } from './source.ts';
import { tasksOf } from './tasks.ts';

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
  const again = new Set(model.ties.flatMap(([, ...others]) => others));
  const counted = model.modules
    .flatMap((m) => Object.values(m.parameters))
    .filter((p) => !again.has(p.value));
  return {
    name,
    family: model.family,
    task: model.task,
    modelType: model.targets.modelType,
    head: model.head,
    trains: trainable(opened)[0] ?? null,
    limit: mostTokens(opened),
    exactly: model.contract.exactly,
    feeds: model.feeds,
    opset: model.onnx.opset,
    // A tied head is the embedding once more, and counts once, as in PyTorch.
    parameters: counted.reduce((n, p) => n + size(p.shape), 0),
    bytes: opened.bytes.reduce((n, b) => n + b.length, 0),
    modules,
    ties: model.ties,
  };
}

/** The tasks that a model can be trained for; none for one that no data here fits. */
function trainable(opened: OpenedModel): readonly Task[] {
  return opened.model.task === 'other' ? [] : tasksOf(opened);
}
