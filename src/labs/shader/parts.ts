/** How the lines of the lab's kernels, the symbols of their formulas and the cells of their pictures belong together. */
import { fail } from '../../lib/errors.ts';
import type { KernelName, Matrices, ShaderTexts } from './protocol.ts';

/** Lines of a file, by what stands in the first and in the last of them; each first line is there once. */
interface Lines {
  readonly path: string;
  readonly from: string;
  readonly to?: string;
}

export interface ShaderPart {
  readonly symbol: string;
  readonly lines: readonly Lines[];
  /** Which cells of which matrix light up with it. */
  readonly lights: (matrix: string, cell: Cell) => boolean;
}

interface Cell {
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

const lines = (path: string, ...ranges: readonly (string | readonly [string, string])[]): readonly Lines[] =>
  ranges.map((range) =>
    typeof range === 'string' ? { path, from: range } : { path, from: range[0], to: range[1] },
  );

const whole =
  (...matrices: readonly string[]): ShaderPart['lights'] =>
  (matrix) =>
    matrices.includes(matrix);

/** How a loop over the rows of a block begins. */
const ROWS = 'for (var i = 0u; i < B; i++) {\n';
const C = 'cayley.wgsl';
const B = 'butterfly.wgsl';
const WIRES = 'lib/butterfly.wgsl';
const F = 'spectralProducts.wgsl';

/** Whether a place is the mirror image of one in the lower half of its side. */
const isMirrored = (at: number, of: number): boolean => 2 * at > of;
const isOwnImage = (at: number, of: number): boolean => at === 0 || 2 * at === of;

/** Of a cell of ΔW: whether the sines count the other way round there. */
const isTurned = ({ row, column, rows, columns }: Cell): boolean =>
  isMirrored(row, rows) !== isMirrored(column, columns) &&
  !isOwnImage(row, rows) &&
  !isOwnImage(column, columns);

/** Of a cell of ΔW: whether sums over even and over odd frequencies of the shorter side are taken from each other there. */
function isHalfOn({ row, column, rows, columns }: Cell): boolean {
  const [at, of] = rows >= columns ? [column, columns] : [row, rows];
  return of % 2 === 0 && 4 * Math.min(at, of - at) > of;
}

/** The part that a cell belongs to when it is pointed at comes first. */
export const PARTS: Readonly<Record<KernelName, readonly ShaderPart[]>> = {
  cayley: [
    {
      symbol: 'q',
      lines: lines(
        ...[C, 'fn triangle(', 'fn upper(', 'let base = block * triangle();'],
        'if (i < j) { return source[base + upper(i, j)]; }',
      ),
      lights: (matrix, { row, column }) => matrix === 'Q' && row < column,
    },
    {
      symbol: 'neg',
      lines: lines(C, 'return -source[base + upper(j, i)];'),
      lights: (matrix, { row, column }) => matrix === 'Q' && row > column,
    },
    {
      symbol: 'R',
      lines: lines(
        C,
        [`${ROWS}    for (var j = 0u; j < B; j++) { r[(`, '= 2.0 * m['],
        [`${ROWS}    r[(block * B + i) * B + j] = 2.0 * tile[`, '= 2.0 * tile['],
      ),
      lights: whole('R'),
    },
    {
      symbol: 'I',
      lines: lines(C, 'fn unit(', 'if (i == j) { return 0.0; }'),
      lights: (_, { row, column }) => row === column,
    },
    {
      symbol: 'Q',
      lines: lines(
        C,
        'fn skew(',
        ['var m: array<f32, 64>;', '= skew(block, i, j) + unit(i, j); }'],
        'var<workgroup> tile:',
        [`${ROWS}    var v = unit(i, j);`, 'tile[base + i * B + j] = v;'],
      ),
      lights: whole('Q'),
    },
    {
      symbol: 'P',
      lines: lines(
        C,
        ['for (var k = 0u; k < B; k++) {\n    let pivot = 1.0 / m[', 'm[k * 9u] = pivot;'],
        ['for (var k = 0u; k < B; k++) {\n    let pivot = 1.0 / tile[', 'tile[base + k * B + k] = pivot;'],
      ),
      lights: whole('Q', 'R'),
    },
  ],
  butterfly: [
    { symbol: 'x', lines: lines(B, ['let last = min(4u, p.rows', 'let r3 =']), lights: whole('x') },
    {
      symbol: 'B',
      lines: lines(B, ['fn block_at(', 'p.stored == 1u)) * B * B;'], ['let entry = block_at(', 'let step =']),
      lights: whole('B'),
    },
    { symbol: 'y', lines: lines(B, ['let y_at = (stack', 'result[y_at']), lights: whole('y') },
    {
      symbol: 'sum',
      lines: lines(
        B,
        'var sum = vec4f(0.0);\n  if (kept(stack, p.factor, place.x))',
        'for (var e = 0u; e < B; e++) {',
        'sum += blocks[',
      ),
      lights: whole('y'),
    },
    {
      symbol: 'k',
      lines: [...lines(B, 'let k = position('), ...lines(WIRES, ['fn position(', '+ e + upper;'])],
      lights: whole('x'),
    },
    {
      symbol: 'c',
      lines: [
        ...lines(B, 'let place = locate('),
        ...lines(WIRES, ['fn locate(', 'return vec2u((at / super_length)']),
      ],
      lights: whole('y'),
    },
    { symbol: 'm', lines: lines(B, 'let width = 1u << p.factor;\n  let place = locate'), lights: whole('B') },
  ],
  idft: [
    {
      symbol: 's',
      lines: lines(
        F,
        'fn spectrum_at(',
        ['let of_four = vec4u(', ');'],
        ['let list = 2u * p.lines + 1u;\n  for (', 'for (var e ='],
        ['let k = tables[list', 'let signed ='],
      ),
      lights: whole('S'),
    },
    {
      symbol: 'more',
      lines: lines(
        F,
        'let across = y > 0u',
        'let mirrored_y =',
        'let more = ',
        'delta_out[to_x + mirrored_y]',
        ['if (x > 0u && 2u * x < p.long)', 'delta_out[mirrored_x + to_y]'],
      ),
      lights: (matrix, cell) => matrix === 'W' && isTurned(cell),
    },
    {
      symbol: 'less',
      lines: lines(
        ...[F, 'let to_x = base', 'let to_y = y *', 'let less = '],
        ...['delta_out[to_x + to_y]', 'delta_out[mirrored_x + mirrored_y]'],
      ),
      lights: (matrix, cell) => matrix === 'W' && !isTurned(cell),
    },
    {
      symbol: 'cosines',
      lines: lines(
        F,
        ['var a_0 = mat4x4f();', 'var a_1 ='],
        ['a_0 = plus(a_0, s', 'a_1 = plus(a_1, s'],
        ['lines_out[at] = a_0[m]', '= a_1[m]'],
        'sums.a_0 = plus(',
        'x.a_0 = lines_in[',
      ),
      lights: whole('W'),
    },
    {
      symbol: 'sines',
      lines: lines(
        F,
        ['var b_0 = mat4x4f();', 'var b_1 ='],
        ['b_0 = plus(b_0, signed', 'b_1 = plus(b_1, signed'],
        ['lines_out[at + b_after()] = b_0[m]', '= b_1[m]'],
        'sums.b_0 = plus(',
        'x.b_0 = lines_in[',
      ),
      lights: (matrix, { row, column, rows, columns }) =>
        matrix === 'W' && !isOwnImage(row, rows) && !isOwnImage(column, columns),
    },
    {
      symbol: 'w',
      lines: lines(
        F,
        ...[
          'fn after(',
          'fn after4(',
          'fn long_angle(',
          'fn following_numbers(',
          'let q_0 = following_numbers(',
        ],
        ['fn following(', 'return vec4u(at, second'],
        ['fn waves(', 'return Waves('],
        ['let angles = following(', 'let w_1 ='],
        ['var frequency = 0u;', 'var angles_0 ='],
        ['for (; frequency < tables[line]; frequency++) {', 'angles_0 = after4('],
        'sums_0 = more(sums_0, waves(p.short_turns, angles_0), x);\n      @if(WIDE) {',
      ),
      lights: whole('W'),
    },
    {
      symbol: 'half',
      lines: lines(
        F,
        ['fn store_row(', 'odd_b[i] - even_b[i]);'],
        ['fn store_sums(', 'even_a[3], even_b[3]'],
        ['var even_0 = Sums();', 'var sums_0 ='],
        ['for (var half = 0u; half < 2u; half++) {', 'sums_0 = Sums();'],
        'let end = select(p.evens',
        'store_sums(own.x, x, q, even_0.a_0',
      ),
      lights: (matrix, cell) => matrix === 'W' && isHalfOn(cell),
    },
  ],
};

/** The symbol of every line of every file, or null. @throws PapilioError('internal') naming a line that is not there once */
export function symbolsOf(
  name: KernelName,
  files: ShaderTexts,
): Readonly<Record<string, readonly (string | null)[]>> {
  const out = Object.fromEntries(
    Object.entries(files).map(([path, text]): [string, (string | null)[]] => [
      path,
      text.split('\n').map(() => null),
    ]),
  );
  const lineAt = (text: string, at: number) => text.slice(0, at).split('\n').length - 1;
  for (const { symbol, lines: ranges } of PARTS[name])
    for (const { path, from, to = from } of ranges) {
      const text = files[path]!;
      const at = text.indexOf(from);
      const end = text.indexOf(to, at);
      if (at < 0 || end < 0) fail('internal', `shaders/${path} has no “${at < 0 ? from : to}”.`);
      if (text.indexOf(from, at + 1) >= 0) fail('internal', `shaders/${path} has “${from}” more than once.`);
      for (let line = lineAt(text, at); line <= lineAt(text, end); line++) out[path]![line] = symbol;
    }
  return out;
}

/** Numbers of the cells of one of several matrices that light up with a symbol. */
export function cellsOf({ lights }: ShaderPart, { symbol, rows, columns }: Matrices): number[] {
  const found: number[] = [];
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      if (lights(symbol, { row, column, rows, columns })) found.push(row * columns + column);
  return found;
}
