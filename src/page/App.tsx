/** The page: its head, and three areas side by side, or one at a time where there is no room. */
import { memo, useEffect } from 'react';
import { say } from '../common.ts';
import { Ambient } from './Ambient.tsx';
import { commandById, handleKey, shortcutOf } from './commands.ts';
import { guideOf } from './errorGuide.ts';
import { Start } from './features/start/Start.tsx';
import { Training } from './features/training/Training.tsx';
import { Mark } from './parts/Icon.tsx';
import { later } from './parts/later.tsx';
import { rich } from './parts/rich.ts';
import type { PanelName } from './stores.ts';
import { ChoiceContext, useLateChoice, usePage, useRun, useUi } from './usePage.ts';

const NewVersion = later('NewVersion', () => import('./features/offline/NewVersion.tsx'));
const LessonBand = later('LessonBand', () => import('./features/lessons/LessonBand.tsx'));
const Setup = later('Setup', () => import('./features/setup/Setup.tsx'), <div className="panel-scroll" />);
const Results = later('Results', () => import('./Results.tsx'), <div className="panel-scroll" />);
const HeaderTools = later('HeaderTools', () => import('./HeaderTools.tsx'));
const Help = later('Help', () => import('./parts/Help.tsx'));

const panels = (): readonly { readonly name: PanelName; readonly title: string; readonly what: string }[] => [
  { name: 'choose', title: say`Choose`, what: say`model, data, method` },
  { name: 'train', title: say`Train`, what: say`watch it learn` },
  { name: 'see', title: say`See`, what: say`what has changed` },
];

/** Drawn again when something in it changes, not when another comes to the front. */
const Panel = memo(function Panel({ name }: { readonly name: PanelName }) {
  const late = useLateChoice(usePage());
  if (name === 'choose') return <Setup />;
  if (name === 'train') return <Training />;
  return (
    <ChoiceContext value={late}>
      <Results />
    </ChoiceContext>
  );
});

export function App() {
  const page = usePage();
  const panel = useUi((s) => s.panel);
  const hasLesson = useUi((s) => s.lesson !== null);
  const isHelpOpen = useUi((s) => s.isHelpOpen);
  const errorKind = useRun((s) => s.error?.report.kind ?? null);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => handleKey(page, event);
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [page]);
  useEffect(() => {
    if (errorKind !== null) page.ui.setState({ panel: guideOf(errorKind).panel });
  }, [page, errorKind]);

  return (
    <div className="page" data-panel={panel}>
      <Header />
      <div>{hasLesson ? <LessonBand /> : <Start />}</div>
      <nav className="panel-tabs" aria-label={say`Areas`}>
        {panels().map(({ name, title }) => (
          <button
            key={name}
            type="button"
            aria-current={panel === name ? 'page' : undefined}
            aria-keyshortcuts={shortcutOf(commandById(`panel-${name}`))}
            onClick={() => page.ui.setState({ panel: name })}
          >
            {title}
          </button>
        ))}
      </nav>
      <main className="panels">
        {panels().map(({ name, title, what }) => (
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
      {isHelpOpen ? <Help /> : null}
      <NewVersion />
      <Ambient />
    </div>
  );
}

/** Mark, name, promise, and the few things that concern everything. */
function Header() {
  return (
    <header className="header">
      <Mark />
      <h1>Papilio</h1>
      <p className="promise">
        {rich`Fine-tune ONNX models with rotations and waves. ${<b>{say`Nothing leaves this tab.`}</b>}`}
      </p>
      <div className="header-tools">
        <HeaderTools />
      </div>
    </header>
  );
}
