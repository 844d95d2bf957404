/** The few things that concern everything: a link to the settings, the theme, the keys. */
import { useState } from 'react';
import { Tooltip, TooltipTrigger } from 'react-aria-components';
import { IconButton, type IconName } from './parts/Icon.tsx';
import type { UiState } from './stores.ts';
import { chooseTheme } from './theme.ts';
import { usePage, useUi } from './usePage.ts';

const NEXT = { system: 'light', light: 'dark', dark: 'system' } as const;
const THEME_ICONS: Readonly<Record<UiState['theme'], IconName>> = {
  system: 'auto',
  light: 'sun',
  dark: 'moon',
};

export function HeaderTools() {
  const page = usePage();
  const theme = useUi((s) => s.theme);
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    history.replaceState(null, '', page.link());
    await navigator.clipboard?.writeText(page.link()).catch(() => undefined);
    setCopied(true);
    setTimeout(() => setCopied(false), 2500);
  };
  return (
    <>
      <Tool
        icon={isCopied ? 'check' : 'link'}
        label={isCopied ? 'Link copied' : 'Copy a link to these settings'}
        onPress={() => void copy()}
      />
      <Tool
        icon={THEME_ICONS[theme]}
        label={`Theme: ${theme}`}
        onPress={() => chooseTheme(page, NEXT[theme])}
      />
      <Tool icon="keys" label="Keyboard help" onPress={() => page.ui.setState({ isHelpOpen: true })} />
    </>
  );
}

function Tool(props: { readonly icon: IconName; readonly label: string; readonly onPress: () => void }) {
  return (
    <TooltipTrigger delay={300}>
      <IconButton {...props} />
      <Tooltip className="tip">{props.label}</Tooltip>
    </TooltipTrigger>
  );
}
