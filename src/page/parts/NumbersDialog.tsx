/** The numbers of a chart as a table, for those who cannot or would not read the drawing. */
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { say } from '../../common.ts';
import { real, whole } from '../format.ts';
import { type Cell, fewRows, type NumberTable } from './chartNumbers.ts';
import { Table } from './Facts.tsx';
import { IconButton } from './Icon.tsx';

/** Rows on screen. */
const MOST_ROWS = 200;

const shown = (value: Cell): string =>
  value === null
    ? '–'
    : typeof value === 'string'
      ? value
      : Number.isInteger(value)
        ? whole(value)
        : real(value);

export function NumbersDialog(props: {
  readonly title: string;
  readonly table: NumberTable;
  readonly onClose: () => void;
}) {
  const { title, table, onClose } = props;
  const { head, rows, formulas = {} } = fewRows(table, MOST_ROWS);
  return (
    <ModalOverlay className="overlay" isDismissable isOpen onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Modal className="modal modal-wide">
        <Dialog className="dialog">
          <Heading slot="title">{title}</Heading>
          <IconButton slot="close" icon="cross" label={say`Close`} className="dialog-close" />
          <p className="hint">
            {rows.length < table.rows.length
              ? say`${rows.length} of ${whole(table.rows.length)} rows, evenly spread; the CSV has them all.`
              : rows.length === 1
                ? say`1 row, as the chart was when this was opened.`
                : say`${whole(rows.length)} rows, as the chart was when this was opened.`}
          </p>
          {[...new Set(Object.values(formulas))].map((formula) => (
            <p key={formula} className="hint">{say`Smoothed: ${formula}.`}</p>
          ))}
          <Table words={[]} numbers={head}>
            {rows.map((row, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place.
              <tr key={i}>
                {row.map((value, k) =>
                  k === 0 ? (
                    // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its column.
                    <th key={k} scope="row" className="number">
                      {shown(value)}
                    </th>
                  ) : (
                    // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its column.
                    <td key={k} className="number">
                      {shown(value)}
                    </td>
                  ),
                )}
              </tr>
            ))}
          </Table>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
