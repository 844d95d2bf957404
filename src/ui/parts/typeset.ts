/** KaTeX with its fonts, in a chunk of its own. */
import katex from 'katex';
import 'katex/dist/katex.min.css';

export function typeset(source: string): string {
  return katex.renderToString(source, { displayMode: true, throwOnError: false, output: 'htmlAndMathml' });
}
