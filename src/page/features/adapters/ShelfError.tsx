/** What went wrong with opened adapters, beside the control that asked for it. */
import type { ShelfPlace, ShelfView } from '../../../app/shelf.ts';
import { ErrorText } from '../../parts/ErrorCard.tsx';

export function ShelfError({ view, at }: { readonly view: ShelfView; readonly at: ShelfPlace }) {
  return view.error === null || view.errorAt !== at ? null : <ErrorText report={view.error} />;
}
