/** Everything anew in another language: no sentence of the last one stays on screen. What the page knows is in its stores, and stays. */
import { Fragment, type ReactNode, useSyncExternalStore } from 'react';
import { I18nProvider } from 'react-aria-components';
import { language, onLanguage } from '../common.ts';

export function Spoken({ children }: { readonly children: ReactNode }) {
  const { locale } = useSyncExternalStore(onLanguage, language);
  return (
    <I18nProvider locale={locale}>
      <Fragment key={locale}>{children}</Fragment>
    </I18nProvider>
  );
}
