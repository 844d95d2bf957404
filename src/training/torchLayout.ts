/** From the engine's layout to PyTorch's where they differ: GPT-2's Conv1D keeps (in, out), a convolution keeps its kernel's axes. */
import type { Adapter } from '../adapters/peft.ts';
import type { AdapterTensor } from '../adapters/types.ts';
import type { ModuleInfo } from '../models/import/modules.ts';

/** The adapter with its saved base parameters as PyTorch stores them. */
export function toTorch(adapter: Adapter, modules: readonly ModuleInfo[]): Adapter {
  return mapWeights(adapter, modules, (t, module) => {
    if (module.kind === 'conv2d') return { ...t, shape: module.parameters.weight!.tensor.dims };
    const [rows, columns] = t.shape as [number, number];
    return { shape: [columns, rows], data: transpose(t.data, rows, columns) };
  });
}

/** The reverse, for adapters read from files. */
export function fromTorch(adapter: Adapter, modules: readonly ModuleInfo[]): Adapter {
  return mapWeights(adapter, modules, (t, module) => {
    if (module.kind === 'conv2d') return { ...t, shape: [module.out, module.in] };
    const [rows, columns] = t.shape as [number, number];
    return { shape: [columns, rows], data: transpose(t.data, rows, columns) };
  });
}

function mapWeights(
  adapter: Adapter,
  modules: readonly ModuleInfo[],
  change: (tensor: AdapterTensor, module: ModuleInfo) => AdapterTensor,
): Adapter {
  const foreign = new Map(
    modules.filter((m) => m.kind === 'conv1d' || m.kind === 'conv2d').map((m) => [`${m.name}.weight`, m]),
  );
  const parameters = new Map(
    [...adapter.parameters].map(([name, tensor]) => {
      const module = foreign.get(name);
      return [name, module ? change(tensor, module) : tensor];
    }),
  );
  // A method that trains whole weights keeps them among its modules' tensors too.
  const tensors = new Map(
    [...adapter.tensors].map(([name, own]) => {
      const module = foreign.get(`${name}.weight`);
      const weight = own.get('weight');
      return [name, module && weight ? new Map(own).set('weight', change(weight, module)) : own];
    }),
  );
  return { ...adapter, parameters, tensors };
}

function transpose(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return out;
}
