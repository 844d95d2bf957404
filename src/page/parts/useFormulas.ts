/** Formulas as HTML, by KaTeX, which is fetched for the first of them. */
import { useEffect, useState } from 'react';

/** Formulas of this project may mark symbols, and nothing else that KaTeX leaves to trust. */
const isTrusted = ({ command }: { readonly command: string }): boolean => command === '\\htmlClass';

async function typeset(sources: readonly string[]): Promise<string> {
  const [{ default: katex }] = await Promise.all([import('katex'), import('katex/dist/katex.min.css')]);
  const options = {
    ...{ displayMode: true, throwOnError: false, output: 'htmlAndMathml' as const },
    ...{ trust: isTrusted, strict: false },
  };
  return sources.map((source) => katex.renderToString(source, options)).join('');
}

/**
 * @param sources KaTeX, each on lines of its own
 * @returns null until the typesetter has come, and where it cannot be fetched: then the source itself is shown
 */
export function useFormulas(sources: readonly string[]): string | null {
  const [html, setHtml] = useState<string | null>(null);
  const key = JSON.stringify(sources);
  useEffect(() => {
    let isCurrent = true;
    typeset(JSON.parse(key) as string[])
      .then((made) => {
        if (isCurrent) setHtml(made);
      })
      .catch(() => {});
    return () => {
      isCurrent = false;
    };
  }, [key]);
  return html;
}
