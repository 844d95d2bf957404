/** The page of the labs: its head, and the start page or the lab that the address names. */
import { useEffect, useState, useSyncExternalStore } from 'react';
import { say } from '../../common.ts';
import { lessonIn } from '../lessons/state.ts';
import { IconButton, Mark } from '../parts/Icon.tsx';
import { LanguageMenu } from '../parts/LanguageMenu.tsx';
import type { UiState } from '../stores.ts';
import { chooseTheme, nextTheme, startTheme, themeButton } from '../theme.ts';
import { LabFrame } from './LabFrame.tsx';
import { labIn } from './link.ts';
import { LabsStart } from './textbook/LabsStart.tsx';
import { PLACES } from './textbook/way.ts';

const onHash = (listener: () => void): (() => void) => {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
};

export function LabsPage() {
  const id = useSyncExternalStore(onHash, () => labIn(location.hash));
  const packed = useSyncExternalStore(onHash, () => lessonIn(location.hash));
  const entry = PLACES.find((one) => one.id === id);
  const [notice, setNotice] = useState<string | null>(null);
  return (
    <div className="labs">
      <header className="header">
        <Mark />
        <p className="labs-name">
          <a href="./">Papilio</a> <a href="#start">{say`Labs`}</a>{' '}
          <a href="#page=glossary">{say`Glossary`}</a>
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
          <LabFrame key={`${entry.id} ${packed}`} entry={entry} packed={packed} />
        )}
      </main>
    </div>
  );
}

/** As the page's own, and kept with it. */
function ThemeTool() {
  const [theme, setTheme] = useState<UiState['theme']>('system');
  useEffect(() => startTheme((shown) => setTheme(shown.theme)), []);
  return <IconButton {...themeButton(theme)} onPress={() => setTheme(chooseTheme(nextTheme(theme)).theme)} />;
}
