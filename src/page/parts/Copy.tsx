/** A button that copies a text, and says that it did. */
import { useState } from 'react';
import { say } from '../../common.ts';
import type { Stores } from '../stores.ts';
import { usePage } from '../usePage.ts';
import { Action } from './Action.tsx';

const SAID_MS = 2500;

/** Puts a text into the clipboard, or says that the browser does not let the page. @returns whether it is there */
export async function copyText(ui: Stores['ui'], text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    ui.setState({
      notice: say`The browser does not let the page copy: select the text and copy it yourself.`,
    });
    return false;
  }
}

export function Copy(props: {
  readonly text: string;
  readonly of: string;
  readonly kind?: 'plain' | 'link';
}) {
  const { text, of, kind = 'link' } = props;
  const { ui } = usePage();
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await copyText(ui, of))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  };
  return <Action kind={kind} text={isCopied ? say`copied` : text} onPress={() => void copy()} />;
}
