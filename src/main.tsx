/** Starts the page and hands it to React. Engine, charts and formulas load when first needed. */
import { createRoot } from 'react-dom/client';
import { App } from './page/App.tsx';
import { startLanguage } from './page/language.ts';
import { Spoken } from './page/Spoken.tsx';
import { startPage } from './page/start.ts';
import { startTheme } from './page/theme.ts';
import { PageContext } from './page/usePage.ts';
import './page/styles/index.css';

await startLanguage();
const page = startPage(import.meta.env.BASE_URL);
startTheme((shown) => page.ui.setState(shown));

createRoot(document.getElementById('root')!).render(
  <PageContext value={page}>
    <Spoken>
      <App />
    </Spoken>
  </PageContext>,
);
