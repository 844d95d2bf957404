/** The page of the labs: its head, and the start page or the lab that the address names. */
import { useEffect, useState, useSyncExternalStore } from 'react';
import { say } from '../../common.ts';
import { lessonIn } from '../lessons/state.ts';
import { IconButton, Mark } from '../parts/Icon.tsx';
import { LanguageMenu } from '../parts/LanguageMenu.tsx';
import type { UiState } from '../stores.ts';
import { chooseTheme, nextTheme, startTheme, themeButton } from '../theme.ts';
import { MissingEngine } from './EnginePicker.tsx';
import { LabFrame } from './LabFrame.tsx';
import { labIn } from './link.ts';
import { LabsStart } from './textbook/LabsStart.tsx';
import { PLACES } from './textbook/way.ts';

const onHash = (listener: () => void): (() => void) => {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
};

/** On paper the numbers of each picture are open, for nobody can press them there, and the ground is light; afterwards all is as it was. */
function useOnPaper(): void {
  useEffect(() => {
    const root = document.documentElement;
    let shut: HTMLDetailsElement[] = [];
    let theme = root.dataset.theme;
    const begin = () => {
      shut = [...document.querySelectorAll<HTMLDetailsElement>('.lab-figure details:not([open])')];
      for (const fold of shut) fold.open = true;
      theme = root.dataset.theme;
      root.dataset.theme = 'light';
    };
    const end = () => {
      for (const fold of shut.splice(0)) fold.open = false;
      if (theme !== undefined) root.dataset.theme = theme;
    };
    addEventListener('beforeprint', begin);
    addEventListener('afterprint', end);
    return () => {
      removeEventListener('beforeprint', begin);
      removeEventListener('afterprint', end);
    };
  }, []);
}

export function LabsPage() {
  const id = useSyncExternalStore(onHash, () => labIn(location.hash));
  const packed = useSyncExternalStore(onHash, () => lessonIn(location.hash));
  const entry = PLACES.find((one) => one.id === id);
  useOnPaper();
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
      {/* The shader lab runs on WebGPU alone, and says so itself. */}
      {entry === undefined || entry.id === 'shader' ? null : <MissingEngine key={entry.id} />}
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
