/** A button that copies a text, and says that it did. */
import { useState } from 'react';
import { usePage } from '../usePage.ts';
import { Action } from './Action.tsx';

const SAID_MS = 2500;

export function Copy(props: {
  readonly text: string;
  readonly of: string;
  readonly kind?: 'plain' | 'link';
}) {
  const { text, of, kind = 'link' } = props;
  const { ui } = usePage();
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(of);
      setCopied(true);
      setTimeout(() => setCopied(false), SAID_MS);
    } catch {
      ui.setState({
        notice: 'The browser does not let the page copy: select the text and copy it yourself.',
      });
    }
  };
  return <Action kind={kind} text={isCopied ? 'copied' : text} onPress={() => void copy()} />;
}
