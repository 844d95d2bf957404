/** Sentences with links, emphasis or numbers in the middle: rich`Press ${<b>{say`Train`}</b>} to begin`. */
import { createElement, Fragment, type ReactNode } from 'react';
import { pieces } from '../../common.ts';

/** As `say`, with elements among the values. */
export const rich = (parts: TemplateStringsArray, ...values: readonly ReactNode[]): ReactNode =>
  createElement(Fragment, null, ...pieces<ReactNode>(parts, values));
