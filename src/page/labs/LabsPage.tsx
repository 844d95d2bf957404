/** The page of the labs: its head, and the start page or the lab that the address names. */
import { useEffect, useState, useSyncExternalStore } from 'react';
import { say } from '../../common.ts';
import { IconButton, Mark } from '../parts/Icon.tsx';
import { LanguageMenu } from '../parts/LanguageMenu.tsx';
import type { UiState } from '../stores.ts';
import { chooseTheme, NEXT_THEME, startTheme, themeButton } from '../theme.ts';
import { LABS } from './catalogue.ts';
import { LabFrame } from './LabFrame.tsx';
import { labIn } from './link.ts';

const onHash = (listener: () => void): (() => void) => {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
};

export function LabsPage() {
  const id = useSyncExternalStore(onHash, () => labIn(location.hash));
  const entry = LABS.find((lab) => lab.id === id);
  const [notice, setNotice] = useState<string | null>(null);
  return (
    <div className="labs">
      <header className="header">
        <Mark />
        <p className="labs-name">
          <a href="./">Papilio</a> <a href="#start">{say`Labs`}</a>
        </p>
        <div className="header-tools">
          <LanguageMenu onProblem={setNotice} />
          <ThemeTool />
        </div>
      </header>
      {notice === null ? null : (
        <p className="warning" role="alert">
          {notice}
        </p>
      )}
      <main>
        {entry === undefined ? (
          <LabsStart isUnknown={id !== null} />
        ) : (
          <LabFrame key={entry.id} entry={entry} />
        )}
      </main>
    </div>
  );
}

/** As the page's own, and kept with it. */
function ThemeTool() {
  const [theme, setTheme] = useState<UiState['theme']>('system');
  useEffect(() => startTheme((shown) => setTheme(shown.theme)), []);
  return (
    <IconButton {...themeButton(theme)} onPress={() => setTheme(chooseTheme(NEXT_THEME[theme]).theme)} />
  );
}

function LabsStart({ isUnknown }: { readonly isUnknown: boolean }) {
  useEffect(() => {
    document.title = `${say`Labs`} · Papilio`;
  }, []);
  return (
    <article className="lab" data-testid="labs-start">
      <h1>{say`Labs`}</h1>
      {isUnknown ? (
        <p className="warning" role="alert">{say`There is no lab of that name. These are all there are.`}</p>
      ) : null}
      <p className="lab-what">
        {say`Short lessons on rotations that fine-tune a model. Every number is computed while you look, in this tab, by the code that trains; nothing is uploaded. Begin with the first: each builds on the one before.`}
      </p>
      <ol className="labs-list">
        {LABS.map(({ id, title, what, minutes }) => (
          <li key={id}>
            <h2>
              <a href={`#lab=${id}`}>{title()}</a>
            </h2>
            <p>{what()}</p>
            <p className="hint">{say`About ${minutes} minutes`}</p>
          </li>
        ))}
      </ol>
      <p>
        <a href="./">{say`Fine-tune a model of your own`}</a>
      </p>
    </article>
  );
}
