/** The top of the page: mark, name, promise, and the few things that concern everything. */

import { useState } from 'react';
import { Button, Tooltip, TooltipTrigger } from 'react-aria-components';
import type { UiState } from '../app/stores.ts';
import { Icon, type IconName } from './parts/Icon.tsx';
import { Mark } from './parts/Mark.tsx';
import { chooseTheme } from './theme.ts';
import { usePage, useUi } from './usePage.ts';

const NEXT = { system: 'light', light: 'dark', dark: 'system' } as const;
const THEME_ICONS: Readonly<Record<UiState['theme'], IconName>> = {
  system: 'auto',
  light: 'sun',
  dark: 'moon',
};

export function Header() {
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
    <header className="header">
      <Mark />
      <h1>Papilio</h1>
      <p className="promise">
        Fine-tune ONNX models with rotations and waves. <b>Nothing leaves this tab.</b>
      </p>
      <div className="header-tools">
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
      </div>
    </header>
  );
}

function Tool(props: { readonly icon: IconName; readonly label: string; readonly onPress: () => void }) {
  return (
    <TooltipTrigger delay={300}>
      <Button className="icon-button" aria-label={props.label} onPress={props.onPress}>
        <Icon name={props.icon} />
      </Button>
      <Tooltip className="tip">{props.label}</Tooltip>
    </TooltipTrigger>
  );
}
