/** An explanation behind a sign. */
import type { ReactNode } from 'react';
import { Button, Tooltip, TooltipTrigger } from 'react-aria-components';
import { say } from '../../common.ts';
import { Icon } from './Icon.tsx';

/** A small "i" with an explanation that opens on hover and focus. */
export function Tip({ about, children }: { readonly about: string; readonly children: ReactNode }) {
  return (
    <TooltipTrigger delay={250} closeDelay={80}>
      <Button className="tip-button" aria-label={say`About ${about}`}>
        <Icon name="info" />
      </Button>
      <Tooltip className="tip" offset={6}>
        {children}
      </Tooltip>
    </TooltipTrigger>
  );
}
