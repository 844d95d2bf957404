/** Whole sentences one after the other, with what the language has between them. Empty ones are left out. */
import { Children, Fragment, type ReactNode } from 'react';
import { gap } from '../../common.ts';

/** As `paragraph`, with elements among the sentences. */
export const Sentences = ({ children }: { readonly children: ReactNode }) =>
  Children.toArray(children)
    .filter((sentence) => sentence !== '')
    .map((sentence, i) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: sentences stay where they are.
      <Fragment key={i}>
        {i === 0 ? '' : gap()}
        {sentence}
      </Fragment>
    ));
