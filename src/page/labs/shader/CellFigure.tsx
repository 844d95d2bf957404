/** The picture of a kernel at one of its sizes: what goes in, what comes out, and which cells of that are wrong. */
import { useState } from 'react';
import { say } from '../../../common.ts';
import {
  type CheckedCase,
  type DeviceReport,
  type KernelName,
  type Matrices,
  PARTS,
  type ShaderCase,
} from '../../../labs.ts';
import { real, subscript } from '../../format.ts';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { deviceName } from '../deviceName.ts';
import { LabFigure } from '../LabFigure.tsx';
import { Term } from '../textbook/Glossary.tsx';
import { type CellAt, Cells, fullOf } from './Cells.tsx';
import { sizeTitle } from './words.ts';

/** What is written under a matrix. */
function nameOf(name: KernelName, { symbol, count }: Matrices, index: number): string {
  if (name === 'idft') return symbol === 'S' ? say`S, the coefficients` : 'ΔW';
  if (symbol === 'B') return `B${subscript(count - 1 - index)}`;
  return count > 1 ? `${symbol}${subscript(index + 1)}` : symbol;
}

const foundText = (value: number | null): string => (value === null ? say`nothing` : real(value));

export function CellFigure(props: {
  readonly name: KernelName;
  readonly shown: ShaderCase;
  /** What the text gave; null while it has not run. */
  readonly checked: CheckedCase | null;
  readonly device: DeviceReport | null;
}) {
  const { name, shown, checked, device } = props;
  const [at, setAt] = useState<CellAt | null>(null);
  const { expected, inputs } = shown;
  const size = expected.rows * expected.columns;
  const found = checked?.found ?? expected.values;
  const wrong = checked?.wrong ?? [];
  const placeOf = (cell: number): CellAt => ({
    matrix: Math.floor(cell / size),
    row: Math.floor((cell % size) / expected.columns),
    column: cell % expected.columns,
  });
  const placeText = ({ matrix, row, column }: CellAt): string =>
    expected.count > 1
      ? say`block ${matrix + 1}, row ${row + 1}, column ${column + 1}`
      : say`row ${row + 1}, column ${column + 1}`;
  const cellText = (cell: number): string =>
    checked === null
      ? say`At ${placeText(placeOf(cell))}, ${real(expected.values[cell]!)} is expected.`
      : say`At ${placeText(placeOf(cell))}, ${real(expected.values[cell]!)} is expected and ${foundText(found[cell]!)} was found.`;
  const summary =
    checked === null
      ? say`The picture shows what should come out, in float64.`
      : wrong.length === 0
        ? say`All ${found.length} cells are right.`
        : say`Wrong cells, which are crossed out: ${wrong.length} of ${found.length}.`;
  const pointed = at === null ? (wrong[0] ?? null) : at.matrix * size + at.row * expected.columns + at.column;
  const order = [...wrong, ...[...found.keys()].filter((cell) => !wrong.includes(cell))];
  return (
    <LabFigure
      id="cells"
      title={sizeTitle(name, shown.sizes)}
      isDone={checked !== null}
      sentence={
        <Sentences>
          {summary}
          {pointed === null ? null : <span>{cellText(pointed)}</span>}
          {checked === null || device === null ? null : (
            <span className="hint">{say`Computed by ${deviceName(device)}.`}</span>
          )}
        </Sentences>
      }
      how={rich`How each number was got: what is expected by the ${<Term of="operator" />}’s reference in float64; what was found by the text above on this device, in 32 bits. A cell is wrong if it differs by more than a hundred-thousandth of the largest number that is expected, or is no finite number.`}
      table={{
        head: [say`Cell`, say`Expected`, say`Found here`, say`Verdict`],
        rows: order.map((cell) => [
          placeText(placeOf(cell)),
          real(expected.values[cell]!),
          checked === null ? '' : foundText(found[cell]!),
          checked === null ? '' : wrong.includes(cell) ? say`wrong` : say`right`,
        ]),
      }}
    >
      <div className="shader-matrices">
        {inputs.map((of) => (
          <Row key={of.symbol} {...{ name, of, values: of.values }} />
        ))}
      </div>
      <div className="shader-matrices">
        <Row {...{ name, of: expected, values: found, wrong, at }} onCell={setAt} />
      </div>
      <p className="hint">{say`Point at a cell, or reach the picture with Tab and take the arrow keys, to read its numbers below.`}</p>
    </LabFigure>
  );
}

/** Matrices side by side. */
function Row(props: {
  readonly name: KernelName;
  readonly of: Matrices;
  readonly values: readonly (number | null)[];
  readonly wrong?: readonly number[];
  readonly at?: CellAt | null;
  readonly onCell?: (cell: CellAt | null) => void;
}) {
  const { name, of, values, wrong = [], at = null, onCell } = props;
  const size = of.rows * of.columns;
  return Array.from({ length: of.count }, (_, index) => {
    const title = nameOf(name, of, index);
    return (
      // biome-ignore lint/suspicious/noArrayIndexKey: a matrix is its number.
      <figure key={index}>
        <Cells
          label={title}
          {...{ of, index, parts: PARTS[name], full: fullOf(of) }}
          values={values.slice(index * size, (index + 1) * size)}
          wrong={wrong.flatMap((cell) => (Math.floor(cell / size) === index ? [cell % size] : []))}
          {...(onCell === undefined ? {} : { at, onCell })}
        />
        <figcaption>{title}</figcaption>
      </figure>
    );
  });
}
