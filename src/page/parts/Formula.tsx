/** Formulas, by KaTeX, which is fetched for the first of them; their symbols are linked with controls and text: pointing at one of either lights all that have its name. */
import { type ReactNode, useEffect, useState } from 'react';
import { symbolClass } from '../../common.ts';

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
function useFormulas(sources: readonly string[]): string | null {
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

/** A symbol in a sentence. */
export function Sym({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return <i className={symbolClass(name)}>{children}</i>;
}

/** A formula, or several, on lines of their own; parts of one with a wide gap between them go below each other where there is no room. Their sources stand there until the typesetter has come, and where it cannot be fetched. */
export function Formula({ source }: { readonly source: string | readonly string[] }) {
  const sources = [source].flat().flatMap((one) => one.split('\\qquad'));
  const html = useFormulas(sources);
  if (html === null)
    return (
      <code className="formula formula-raw">
        {sources.join('\n').replaceAll(/\\htmlClass\{[^}]*\}/g, '')}
      </code>
    );
  // biome-ignore lint/security/noDangerouslySetInnerHtml: KaTeX's own output for a formula of this project.
  return <div className="formula" dangerouslySetInnerHTML={{ __html: html }} />;
}

const SYMBOL = /(?:^|\s)sym-([\w]+)/;

/** The symbol that an element belongs to, by its own class or by that of the control around it. */
function symbolAt(target: EventTarget | null): string | null {
  const found = (target as Element | null)?.closest?.('[class*="sym-"]');
  return SYMBOL.exec(found?.getAttribute('class') ?? '')?.[1] ?? null;
}

/** Lights what belongs to the symbol that is pointed at or focused in it. */
export function Lights({ children }: { readonly children: ReactNode }) {
  const light = ({ target, currentTarget }: { target: EventTarget; currentTarget: HTMLElement }) => {
    const symbol = symbolAt(target);
    if (symbol === null) delete currentTarget.dataset.lit;
    else currentTarget.dataset.lit = symbol;
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only lights what already says the same in words; controls inside of it take keys.
    <div
      className="lights"
      onPointerOver={light}
      onFocus={light}
      onPointerLeave={({ currentTarget }) => {
        delete currentTarget.dataset.lit;
      }}
    >
      {children}
    </div>
  );
}
