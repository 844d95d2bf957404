/** A KaTeX formula; its source is readable until the typesetter has arrived. */
import { useEffect, useState } from 'react';

export function Formula({ source }: { readonly source: string }) {
  const [html, setHtml] = useState<string | null>(null);
  useEffect(() => {
    let isCurrent = true;
    void import('./typeset.ts').then(({ typeset }) => {
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
