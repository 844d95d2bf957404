/** Starts the page of the labs. Formulas, labs and their worker load when first needed. */
import { createRoot } from 'react-dom/client';
import { startLanguage } from '../language.ts';
import { Spoken } from '../Spoken.tsx';
import { whenIdle } from '../whenIdle.ts';
import { LabsPage } from './LabsPage.tsx';
import { keepScrolling } from './scrolling.ts';
import '../styles/tokens.css';
import '../styles/base.css';
import '../styles/shell.css';
import '../parts/parts.css';
import './labs.css';
import './textbook/textbook.css';

await startLanguage();
keepScrolling();

createRoot(document.getElementById('root')!).render(
  <Spoken>
    <LabsPage />
  </Spoken>,
);

// The same service worker as the page's: whoever comes by a link to a lab has it without a network, too.
if ('serviceWorker' in navigator && !import.meta.env.DEV)
  whenIdle(() => {
    navigator.serviceWorker.register('./sw.js', { updateViaCache: 'none' }).catch(() => {});
  });
