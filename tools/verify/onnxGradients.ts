/** Compares gradients per engine parameter with a file's gradients per PyTorch parameter. */
import type { Value } from '../../src/graph/types.ts';
import type { ImportedModel } from '../../src/models/import/importModel.ts';
import { storedParameter } from '../../src/ops/fuse/stored.ts';

export type FileGradients = Readonly<
  Record<
    string,
    {
      readonly shape: readonly number[];
      readonly l2: number;
      readonly sum: number;
      /** The first values, row-major, in PyTorch's layout. */
      readonly first: readonly number[];
    }
  >
>;

const magnitude = (data: ArrayLike<number>): number => {
  let m = 0;
  for (let i = 0; i < data.length; i++) m = Math.max(m, Math.abs(data[i]!));
  return m;
};

function transposed(data: Float64Array, [rows, columns]: readonly [number, number]): Float64Array {
  const out = new Float64Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return out;
}

/** Parameters the file does not know but whose contents equal one it does: PyTorch ties them, the exporter wrote them twice. */
function tiedTo(
  owner: Value,
  gradients: ReadonlyMap<Value, Float64Array>,
  known: ReadonlySet<string>,
): Value[] {
  const contents = owner.source?.();
  if (!contents) return [];
  return [...gradients.keys()].filter((v) => {
    if (known.has(v.name) || v.role !== 'parameter' || v.shape.join() !== owner.shape.join()) return false;
    const other = v.source!();
    return contents.every((x, i) => x === other[i]);
  });
}

/**
 * @param floor smallest scale an error is measured by
 * @returns per parameter of the file that was found: the worst of its first values and its norm, relative to the largest entry
 */
export function matchGradients(
  grads: FileGradients,
  gradients: ReadonlyMap<Value, Float64Array>,
  model: ImportedModel,
  floor: number,
): { readonly name: string; readonly error: number }[] {
  const conv1d = new Set(
    model.modules.flatMap((m) =>
      m.kind === 'conv1d' && m.parameters.weight ? [m.parameters.weight.value] : [],
    ),
  );
  const origins = model.modules.flatMap((m) => Object.values(m.parameters));
  const engineName = (name: string): string => origins.find((o) => o.torch === name)?.value ?? name;
  const given = new Set(Object.keys(grads).map(engineName));
  return Object.entries(grads).flatMap(([name, expected]) => {
    const known = origins.find((o) => o.torch === name);
    const value = engineName(name);
    const owner =
      [...gradients.keys()].find((v) => storedParameter(v)?.name === value) ??
      [...gradients.keys()].find((v) => v.role === 'constant' && v.shape.join() === expected.shape.join());
    if (!owner) return [{ name, error: Number.POSITIVE_INFINITY }];
    const data = Float64Array.from(gradients.get(owner)!);
    for (const twin of tiedTo(owner, gradients, given)) {
      const other = gradients.get(twin)!;
      for (let i = 0; i < data.length; i++) data[i]! += other[i]!;
    }
    // A matrix under its own name lies in the file as PyTorch keeps it.
    const turned = conv1d.has(name) || (known?.transposed === true && known.tensor.name === name);
    const ordered = turned ? transposed(data, owner.shape as [number, number]) : data;
    const scale = Math.max(floor, magnitude(ordered));
    const firstError = Math.max(...expected.first.map((x, i) => Math.abs(x - ordered[i]!))) / scale;
    const l2 = Math.sqrt(ordered.reduce((s, x) => s + x * x, 0));
    return [{ name, error: Math.max(firstError, Math.abs(l2 - expected.l2) / Math.max(floor, l2)) }];
  });
}
