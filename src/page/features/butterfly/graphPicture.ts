/** Where the nodes of the graph stand, which nodes are drawn as one, and how edges are drawn: lines, or bands where lines would be one grey. */
import { countOf, forLit } from './focus.ts';
import type { Wiring } from './wiring.ts';

/** So many nodes of a column are drawn each by itself; of more, several as one, so that a frame keeps to its time. */
const MOST_SINGLE = 128;
const MOST_BUNDLED = 64;

/** Lines between two columns, at most. */
const MOST_LINES = 600;

/** How many nodes one drawn node stands for: a divisor of all where there is one near. */
export function bundleOf(size: number): number {
  if (size <= MOST_SINGLE) return 1;
  const least = Math.ceil(size / MOST_BUNDLED);
  for (let n = least; n <= 2 * least; n++) if (size % n === 0) return n;
  return least;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly bundle: number;
  /** Drawn nodes of a column. */
  readonly nodes: number;
  readonly columns: number;
}

const SIDE = 26;
const TOP = 8;
const NODE_PITCH = { least: 4, most: 26 };
const WISHED_HEIGHT = 300;

export function layoutOf({ size, stages }: Wiring, width: number): Layout {
  const bundle = bundleOf(size);
  const nodes = Math.ceil(size / bundle);
  const pitch = Math.min(NODE_PITCH.most, Math.max(NODE_PITCH.least, WISHED_HEIGHT / nodes));
  return { width, height: Math.round(2 * TOP + pitch * nodes), bundle, nodes, columns: stages.length + 1 };
}

export const xOf = ({ width, columns }: Layout, column: number): number =>
  SIDE + (column / Math.max(1, columns - 1)) * (width - 2 * SIDE);

export const yOf = ({ height, nodes }: Layout, node: number): number =>
  TOP + ((node + 0.5) / nodes) * (height - 2 * TOP);

/** Edges of a factor between drawn nodes, from · nodes + to. @param lit of these alone; all where it is left out */
export function drawnEdges(
  wiring: Wiring,
  { bundle, nodes }: Layout,
  factor: number,
  lit: readonly Uint8Array[],
): Uint8Array {
  const edges = new Uint8Array(nodes * nodes);
  forLit(wiring, lit, factor, (row, column) => {
    edges[Math.floor(column / bundle) * nodes + Math.floor(row / bundle)] = 1;
  });
  return edges;
}

/** Everything lit: all edges. */
export const everything = ({ size, stages }: Wiring): Uint8Array[] =>
  Array.from({ length: stages.length + 1 }, () => new Uint8Array(size).fill(1));

/** Adds edges to a canvas in one colour. @returns how many there are */
export function drawEdges(
  context: CanvasRenderingContext2D,
  layout: Layout,
  factor: number,
  edges: Uint8Array,
  { color, width, alpha }: { readonly color: string; readonly width: number; readonly alpha: number },
): number {
  const { nodes } = layout;
  const [x0, x1] = [xOf(layout, factor), xOf(layout, factor + 1)];
  const count = countOf(edges);
  if (count === 0) return 0;
  context.globalAlpha = alpha;
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineWidth = width;
  context.beginPath();
  const half = (yOf(layout, 1) - yOf(layout, 0)) / 2;
  for (let from = 0; from < nodes; from++) {
    const y = yOf(layout, from);
    for (let to = 0; to < nodes; to++) {
      if (edges[from * nodes + to] === 0) continue;
      if (count <= MOST_LINES) {
        context.moveTo(x0, y);
        context.lineTo(x1, yOf(layout, to));
        continue;
      }
      const first = to;
      while (to + 1 < nodes && edges[from * nodes + to + 1] === 1) to++;
      context.moveTo(x0, y);
      context.lineTo(x1, yOf(layout, first) - half);
      context.lineTo(x1, yOf(layout, to) + half);
      context.closePath();
    }
  }
  if (count <= MOST_LINES) context.stroke();
  else {
    context.globalAlpha = alpha / 3;
    context.fill();
  }
  context.globalAlpha = 1;
  return count;
}

/** Adds the nodes of a column that are on. */
export function drawNodes(
  drawing: CanvasRenderingContext2D,
  layout: Layout,
  column: number,
  color: string,
  isOn: (node: number) => boolean,
): void {
  const radius = Math.min(4, Math.max(1.6, (yOf(layout, 1) - yOf(layout, 0)) / 3.2));
  drawing.fillStyle = color;
  drawing.beginPath();
  for (let node = 0; node < layout.nodes; node++) {
    if (!isOn(node)) continue;
    const [x, y] = [xOf(layout, column), yOf(layout, node)];
    drawing.moveTo(x + radius, y);
    drawing.arc(x, y, radius, 0, 2 * Math.PI);
  }
  drawing.fill();
}

/** What stands at a point of the picture: a drawn node, an edge between two, or nothing. */
export type Hit =
  | { readonly kind: 'node'; readonly column: number; readonly node: number }
  | { readonly kind: 'edge'; readonly factor: number; readonly from: number; readonly to: number };

/** How near to an edge counts as on it. */
const NEAR = 5;

/** The share of the way between two columns that belongs to their nodes. */
const NODE_SHARE = 0.16;

export function hitAt(
  layout: Layout,
  edgesOf: (factor: number) => Uint8Array,
  x: number,
  y: number,
): Hit | null {
  const { nodes, columns } = layout;
  const at = Math.min(columns - 1, Math.max(0, ((x - SIDE) / (layout.width - 2 * SIDE)) * (columns - 1)));
  const column = Math.round(at);
  if (Math.abs(at - column) <= NODE_SHARE) {
    const node = Math.floor(((y - TOP) / (layout.height - 2 * TOP)) * nodes);
    return node < 0 || node >= nodes ? null : { kind: 'node', column, node };
  }
  const factor = Math.floor(at);
  const t = at - factor;
  const edges = edgesOf(factor);
  let best: { readonly from: number; readonly to: number } | null = null;
  let near = NEAR;
  for (let from = 0; from < nodes; from++)
    for (let to = 0; to < nodes; to++) {
      if (edges[from * nodes + to] === 0) continue;
      const far = Math.abs(yOf(layout, from) * (1 - t) + yOf(layout, to) * t - y);
      if (far < near) [near, best] = [far, { from, to }];
    }
  return best && { kind: 'edge', factor, ...best };
}
