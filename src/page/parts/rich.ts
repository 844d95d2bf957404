/** Sentences with links, emphasis or numbers in the middle: rich`Press ${<b>{say`Train`}</b>} to begin`. */
import type { ReactNode } from 'react';
import { pieces } from '../../common.ts';
import { Fragment, jsxs } from '../jsx/jsx-runtime.ts';

/** As `say`, with elements among the values. Its texts pass where those of JSX do, and are written visibly. */
export const rich = (parts: TemplateStringsArray, ...values: readonly ReactNode[]): ReactNode =>
  jsxs(Fragment, { children: pieces<ReactNode>(parts, values) });
