/** A KaTeX formula; its source is readable until the typesetter has arrived. */
import 'katex/dist/katex.min.css';
import katex from 'katex';
import { useEffect, useState } from 'react';

export function Formula({ source }: { readonly source: string }) {
  const [html, setHtml] = useState<string | null>(null);
  useEffect(() => {
    let isCurrent = true;
    void import('./Formula.tsx').then(({ typeset }) => {
      if (isCurrent) setHtml(typeset(source));
    });
    return () => {
      isCurrent = false;
    };
  }, [source]);
  if (html === null) return <code className="formula formula-raw">{source}</code>;
  // biome-ignore lint/security/noDangerouslySetInnerHtml: KaTeX's own output for a formula of this project, with trust off.
  return <div className="formula" dangerouslySetInnerHTML={{ __html: html }} />;
}

// KaTeX with its fonts, in a chunk of its own.

/** Formulas joined by `,\\quad` stand below each other, so that they fit a narrow column. */
export function typeset(source: string): string {
  return source
    .split(/,\s*\\quad\s*/)
    .map((part) =>
      katex.renderToString(part, { displayMode: true, throwOnError: false, output: 'htmlAndMathml' }),
    )
    .join('');
}
