/** The few things that concern everything: a link to the settings, the theme, the keys. */
import { useState } from 'react';
import { Tooltip, TooltipTrigger } from 'react-aria-components';
import { listOf, paragraph, say } from '../common.ts';
import { commandById, commandTip, shortcutOf } from './commands.ts';
import { describeRun } from './features/runs/changes.ts';
import { leftOut } from './features/setup/link.ts';
import { IconButton, type IconName } from './parts/Icon.tsx';
import { LanguageMenu } from './parts/LanguageMenu.tsx';
import { chooseTheme, nextTheme, themeButton } from './theme.ts';
import { usePage, useUi } from './usePage.ts';

export function HeaderTools() {
  const page = usePage();
  const theme = useUi((s) => s.theme);
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    const state = page.choice.getState();
    const left = leftOut(state);
    const link = `${location.origin}${location.pathname}${location.search}${page.hash()}`;
    history.replaceState(null, '', link);
    const isDone = await navigator.clipboard?.writeText(link).then(
      () => true,
      () => false,
    );
    const what = describeRun({ settings: state.settings, figures: null });
    page.ui.setState({
      notice: paragraph([
        isDone
          ? say`Link copied: ${what}.`
          : say`The link is in the address bar; the browser does not let the page copy it: ${what}.`,
        left.length === 0 ? say`It holds the whole setup.` : say`It does not hold ${listOf(left)}.`,
      ]),
    });
    setCopied(isDone === true);
    setTimeout(() => setCopied(false), 2500);
  };
  return (
    <>
      <Tool
        icon={isCopied ? 'check' : 'link'}
        label={isCopied ? say`Link copied` : say`Copy a link to these settings`}
        onPress={() => void copy()}
      />
      <Tool {...themeButton(theme)} onPress={() => page.ui.setState(chooseTheme(nextTheme(theme)))} />
      <LanguageMenu onProblem={(notice) => page.ui.setState({ notice })} />
      <CommandTool icon="info" id="start" />
      <CommandTool icon="keys" id="help" isLast />
    </>
  );
}

function Tool(props: {
  readonly icon: IconName;
  readonly label: string;
  readonly tip?: string;
  readonly shortcut?: string;
  /** Below it lie the crosses of notices, beside it other buttons: its words stand below those. */
  readonly isLast?: boolean;
  readonly onPress: () => void;
}) {
  const { icon, label, tip = label, shortcut, isLast = false, onPress } = props;
  return (
    <TooltipTrigger delay={300}>
      <IconButton {...{ icon, label, onPress }} {...(shortcut === undefined ? {} : { shortcut })} />
      <Tooltip className="tip" placement={isLast ? 'bottom end' : 'bottom'} crossOffset={isLast ? -40 : 0}>
        {tip}
      </Tooltip>
    </TooltipTrigger>
  );
}

/** A command of the table, with its key. */
function CommandTool(props: { readonly icon: IconName; readonly id: string; readonly isLast?: boolean }) {
  const { icon, id, isLast = false } = props;
  const page = usePage();
  const command = commandById(id);
  return (
    <Tool
      icon={icon}
      label={command.label()}
      tip={commandTip(command)}
      shortcut={shortcutOf(command)}
      isLast={isLast}
      onPress={() => command.run(page)}
    />
  );
}
