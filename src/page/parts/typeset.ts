/** KaTeX with its fonts, in a chunk of its own. */
import katex from 'katex';
import 'katex/dist/katex.min.css';

/** Formulas joined by `,\\quad` stand below each other, so that they fit a narrow column. */
export function typeset(source: string): string {
  return source
    .split(/,\s*\\quad\s*/)
    .map((part) =>
      katex.renderToString(part, { displayMode: true, throwOnError: false, output: 'htmlAndMathml' }),
    )
    .join('');
}
