/**
 * The small picture of a method: the frozen weight of a small layer and the method's factors beside it, each with the entries that can differ from
 * zero. All of it is the method's own pattern on that layer, so that no picture is drawn by hand.
 */
import { say } from '../../../common.ts';
import { type CommonConfig, type Factor, type Layer, METHODS, type MethodId } from '../../../methods.ts';

/** Inputs and outputs of the layer that is drawn; no panel is taller. */
export const SIDE = 16;
const LAYER: Layer = { name: 'layer', kind: 'linear', in: SIDE, out: SIDE, hasBias: false };

/** Sizes at which so small a layer still shows what the method is. */
const SIZES: Readonly<Partial<Record<MethodId, Readonly<Record<string, unknown>>>>> = {
  oft: { oft_block_size: 4 },
  boft: { boft_block_size: 4, boft_n_butterfly_factor: 3 },
  fourierft: { n_frequency: 14 },
  lora: { r: 2, lora_alpha: 2 },
  adalora: { init_r: 3, target_r: 2 },
  vera: { r: 4 },
  loha: { r: 2, alpha: 2 },
  lokr: { r: 4, alpha: 4 },
};

/** A run of cells in one row that can differ from zero. */
interface Cells {
  readonly row: number;
  readonly column: number;
  readonly length: number;
}

export interface Panel {
  readonly label: string;
  readonly rows: number;
  readonly columns: number;
  readonly cells: readonly Cells[];
  /** Left as it is while the others train. */
  readonly isFrozen: boolean;
}

export interface MethodPicture {
  /** Panels with the signs between them, left to right. */
  readonly parts: readonly (Panel | string)[];
  /** For whoever does not see it. */
  readonly label: string;
}

const whole = (rows: number, columns: number): Cells[] =>
  Array.from({ length: rows }, (_, row) => ({ row, column: 0, length: columns }));

/** Neighbouring cells as one. */
function runsOf(row: number, columns: readonly number[]): Cells[] {
  const runs: { row: number; column: number; length: number }[] = [];
  for (const column of [...columns].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last.column + last.length === column) last.length++;
    else runs.push({ row, column, length: 1 });
  }
  return runs;
}

function panelOf(factor: Factor): Panel {
  const { label } = factor;
  if (factor.kind === 'dense') {
    const { rows, columns, frozen = false } = factor;
    return { label, rows, columns, cells: whole(rows, columns), isFrozen: frozen };
  }
  if (factor.kind === 'blocks') {
    const { size, group } = factor;
    const cells = Array.from({ length: size }, (_, row) =>
      runsOf(
        row,
        [...group.keys()].filter((column) => group[column] === group[row]),
      ),
    ).flat();
    return { label, rows: size, columns: size, cells, isFrozen: false };
  }
  const { rows, columns, row, column } = factor;
  const cells = Array.from(row, (r, i) => ({ row: r, column: column[i]!, length: 1 }));
  return { label, rows, columns, cells, isFrozen: false };
}

const frozenWeight = (): Panel => ({
  ...{ label: 'W', rows: SIDE, columns: SIDE, isFrozen: true },
  cells: whole(SIDE, SIDE),
});

/** @throws Error for a method whose sizes here are none of its own: a test draws them all */
export function methodPicture(id: MethodId): MethodPicture {
  const method = METHODS[id];
  const config = method.schema.parse(SIZES[id] ?? {}) as CommonConfig;
  const { role, factors } = method.pattern(LAYER, config);
  const panels = factors.map(panelOf);
  const W = frozenWeight();
  const numbers = factors.length;
  switch (role) {
    case 'rotation':
      // The last factor stands nearest to the weight, as in W B_(m−1) ⋯ B_0.
      return {
        parts: [W, '·', ...panels.toReversed()],
        label:
          numbers === 1
            ? say`The frozen weight, times a matrix of blocks along its diagonal that turn its inputs.`
            : say`The frozen weight, times ${numbers} sparse factors of which each joins other inputs.`,
      };
    case 'update':
      return { parts: [W, '+', ...panels], label: say`The frozen weight, plus what its adapter adds.` };
    case 'hadamard':
      return {
        parts: [W, '+', ...panels.slice(0, 2), '⊙', ...panels.slice(2)],
        label: say`The frozen weight, plus two products multiplied entry by entry.`,
      };
    case 'kronecker':
      return {
        parts: [W, '+', panels[0]!, '⊗', ...panels.slice(1)],
        label: say`The frozen weight, plus the Kronecker product of two small matrices.`,
      };
    case 'scaling':
      return { parts: [W, '·', ...panels], label: say`The frozen weight, scaled by a diagonal.` };
    case 'weight':
      return { parts: panels, label: say`The weight itself, which trains whole.` };
    case 'none':
      return { parts: [W], label: say`The frozen weight; only what stands behind it trains.` };
  }
}

/** Width of a picture in cells, with room for signs and between panels. */
const GAP = 2;
const SIGN = 3;

export interface Placed {
  readonly part: Panel | string;
  readonly x: number;
}

/** Panels and signs beside each other, in cells. */
export function placed({ parts }: MethodPicture): {
  readonly placed: readonly Placed[];
  readonly width: number;
} {
  let x = 0;
  const all = parts.map((part): Placed => {
    const at = x;
    x += (typeof part === 'string' ? SIGN : part.columns) + GAP;
    return { part, x: at };
  });
  return { placed: all, width: x - GAP };
}
