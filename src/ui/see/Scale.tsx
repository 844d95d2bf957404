/** The key to a diverging colour scale. */
import { real } from '../../app/format.ts';

export function Scale({ limit }: { readonly limit: number }) {
  return (
    <span className="scale">
      −{real(limit)}
      <i className="scale-bar" />
      {real(limit)}
    </span>
  );
}
