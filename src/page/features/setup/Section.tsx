/** One foldable part of Choose: its name, what is chosen now, and the controls. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { Button, Disclosure, DisclosurePanel, Heading } from 'react-aria-components';
import type { SectionName } from '../../page.ts';
import { Icon } from '../../parts/Icon.tsx';
import { usePage } from '../../usePage.ts';

export function Section(props: {
  readonly name: SectionName;
  readonly title: string;
  readonly summary: ReactNode;
  readonly isOpenAtFirst?: boolean;
  /** Something in it is still to be chosen: then it opens by itself. */
  readonly isWaiting?: boolean;
  readonly children: ReactNode;
}) {
  const { name, title, summary, isOpenAtFirst = false, isWaiting = false, children } = props;
  const page = usePage();
  const [isOpen, setOpen] = useState(isOpenAtFirst);
  useEffect(() => {
    if (isWaiting) setOpen(true);
  }, [isWaiting]);
  const own = useRef<HTMLDivElement>(null);
  useEffect(
    () =>
      page.onShow((shown) => {
        if (shown !== name) return;
        setOpen(true);
        requestAnimationFrame(() => {
          const section = own.current;
          section?.scrollIntoView({ block: 'nearest' });
          section?.classList.remove('flash');
          // Reading the layout lets the animation start over.
          void section?.offsetWidth;
          section?.classList.add('flash');
        });
      }),
    [page, name],
  );
  return (
    <Disclosure ref={own} className="section" isExpanded={isOpen} onExpandedChange={setOpen}>
      <Heading level={3} className="section-head">
        <Button slot="trigger" className="section-button" data-testid={`section-${name}`}>
          <Icon name="chevron" />
          <span className="section-title">{title}</span>
          <span className="section-summary hint clip">{summary}</span>
        </Button>
      </Heading>
      <DisclosurePanel className="section-panel">{isOpen ? children : null}</DisclosurePanel>
    </Disclosure>
  );
}
