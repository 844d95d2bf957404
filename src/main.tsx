/** Starts the page: connects the stores to the browser and hands them to React. Engine, charts and formulas load when first needed. */
import { createRoot } from 'react-dom/client';
import { connectPage, createPage } from './app/page.ts';
import { browserSessions } from './app/sessions.ts';
import { trainerClient } from './app/trainerClient.ts';
import { detectGpu } from './app/webgpu.ts';
import { App } from './ui/App.tsx';
import { startTheme } from './ui/theme.ts';
import { PageContext } from './ui/usePage.ts';
import './ui/styles/tokens.css';
import './ui/styles/base.css';
import './ui/styles/layout.css';
import './ui/styles/controls.css';
import './ui/styles/choose.css';
import './ui/styles/train.css';
import './ui/styles/see.css';

const sessions = browserSessions();
const page = createPage({
  trainer: trainerClient(),
  sessions,
  inference: async () => (await import('./inference/client.ts')).inferenceClient(),
  root: import.meta.env.BASE_URL,
});
startTheme(page);
void connectPage(page, sessions);
void detectGpu(navigator, isSecureContext).then((gpu) => page.ui.setState({ gpu }));

createRoot(document.getElementById('root')!).render(
  <PageContext value={page}>
    <App />
  </PageContext>,
);
