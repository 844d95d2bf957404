/** The page: three areas side by side, or one at a time where there is no room. */
import { lazy, memo, Suspense, useEffect } from 'react';
import { handleKey } from '../app/commands.ts';
import { ERROR_GUIDE } from '../app/errorGuide.ts';
import type { PanelName } from '../app/stores.ts';
import { Ambient } from './Ambient.tsx';
import { Choose } from './features/setup/Choose.tsx';
import { Train } from './features/training/Train.tsx';
import { Header } from './Header.tsx';
import { ChoiceContext, useLateChoice, usePage, useRun, useUi } from './usePage.ts';

const See = lazy(() => import('./See.tsx').then(({ See }) => ({ default: See })));
const Help = lazy(() => import('./Help.tsx').then(({ Help }) => ({ default: Help })));

const PANELS: readonly { readonly name: PanelName; readonly title: string; readonly what: string }[] = [
  { name: 'choose', title: 'Choose', what: 'model, data, method' },
  { name: 'train', title: 'Train', what: 'watch it learn' },
  { name: 'see', title: 'See', what: 'what has changed' },
];

/** Drawn again when something in it changes, not when another comes to the front. */
const Panel = memo(function Panel({ name }: { readonly name: PanelName }) {
  const late = useLateChoice(usePage());
  if (name === 'choose') return <Choose />;
  if (name === 'train') return <Train />;
  return (
    <ChoiceContext value={late}>
      <Suspense fallback={<div className="panel-scroll" />}>
        <See />
      </Suspense>
    </ChoiceContext>
  );
});

export function App() {
  const page = usePage();
  const panel = useUi((s) => s.panel);
  const isHelpOpen = useUi((s) => s.isHelpOpen);
  const errorKind = useRun((s) => s.error?.report.kind ?? null);
  const hasRun = useRun((s) => s.open !== null);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => handleKey(page, event);
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [page]);
  useEffect(() => {
    if (errorKind !== null) page.ui.setState({ panel: ERROR_GUIDE[errorKind].panel });
  }, [page, errorKind]);
  useEffect(() => {
    // Adapters and methods are not about the run: whoever looks at them goes on looking.
    page.ui.setState(({ seeTab }) =>
      seeTab === 'adapters' || seeTab === 'methods' ? {} : { seeTab: hasRun ? 'compare' : 'inside' },
    );
  }, [page, hasRun]);

  return (
    <div className="page" data-panel={panel}>
      <Header />
      <nav className="panel-tabs" aria-label="Areas">
        {PANELS.map(({ name, title }) => (
          <button
            key={name}
            type="button"
            aria-current={panel === name ? 'page' : undefined}
            onClick={() => page.ui.setState({ panel: name })}
          >
            {title}
          </button>
        ))}
      </nav>
      <main className="panels">
        {PANELS.map(({ name, title, what }) => (
          <section
            key={name}
            id={`panel-${name}`}
            className={`panel panel-${name}`}
            aria-label={title}
            tabIndex={-1}
          >
            <h2 className="panel-title">
              {title} <span>{what}</span>
            </h2>
            <Panel name={name} />
          </section>
        ))}
      </main>
      {isHelpOpen ? (
        <Suspense fallback={null}>
          <Help />
        </Suspense>
      ) : null}
      <Ambient />
    </div>
  );
}
