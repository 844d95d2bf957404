/** Formulas whose symbols are linked with controls and text: pointing at one of either lights all that have its name. */
import type { ReactNode } from 'react';
import { useFormulas } from '../parts/useFormulas.ts';

/** A symbol in the source of a formula, by the name that its control has. */
export const mark = (name: string, tex: string = name): string => `\\htmlClass{sym-${name}}{${tex}}`;

/** A symbol in a sentence. */
export function Sym({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return <i className={`sym-${name}`}>{children}</i>;
}

/** A formula, on lines of its own; its source stands there until the typesetter has come. */
export function Formula({ source }: { readonly source: string }) {
  const html = useFormulas([source]);
  if (html === null)
    return <code className="lab-formula">{source.replaceAll(/\\htmlClass\{[^}]*\}/g, '')}</code>;
  // biome-ignore lint/security/noDangerouslySetInnerHtml: KaTeX's own output for a formula of this project.
  return <div className="lab-formula" dangerouslySetInnerHTML={{ __html: html }} />;
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
      className="lab-lights"
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
