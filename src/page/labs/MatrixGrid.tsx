/** A small matrix with its numbers, each cell as strong in colour as its number is large. */
import { hundredths } from '../format.ts';

export function MatrixGrid(props: {
  readonly label: string;
  readonly size: number;
  readonly values: readonly number[];
  /** The symbol that the matrix has in the formulas. */
  readonly symbol: string;
}) {
  const { label, size, values, symbol } = props;
  return (
    <table className={`lab-matrix sym-${symbol}`} aria-label={label}>
      <tbody>
        {Array.from({ length: size }, (_, row) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place.
          <tr key={row}>
            {Array.from({ length: size }, (_, column) => {
              const value = values[row * size + column]!;
              const share = Math.min(1, Math.abs(value)) * 55;
              const color = value < 0 ? 'var(--map-low)' : 'var(--map-high)';
              return (
                <td
                  // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its column.
                  key={column}
                  style={{ background: `color-mix(in srgb, ${color} ${share.toFixed(0)}%, var(--map-zero))` }}
                >
                  {hundredths(value).replace(/^−(?=0.00$)/, '')}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
