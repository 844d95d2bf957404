/** The third area: what training changes - answers, factors, the merged file - and adapters, methods and runs beside each other. */
import type { ComponentType } from 'react';
import { Tab, TabList, TabPanel, Tabs } from 'react-aria-components';
import { say } from '../common.ts';
import { Adapters } from './features/adapters/Adapters.tsx';
import { Inside } from './features/inspect/Inside.tsx';
import { Merge } from './features/merge/Merge.tsx';
import { Methods } from './features/methods/Methods.tsx';
import { Shown } from './features/recorded/Shown.tsx';
import { BeforeAfter } from './features/try/BeforeAfter.tsx';
import { Weights } from './features/weights/Weights.tsx';
import { ErrorCard } from './parts/Errors.tsx';
import { Holding } from './parts/held.tsx';
import { later } from './parts/later.tsx';
import type { SeeTab } from './stores.ts';
import { usePage, useUi } from './usePage.ts';

const Runs = later('Runs', () => import('./features/runs/Runs.tsx'));

interface TabOf {
  readonly id: SeeTab;
  readonly title: string;
  readonly Content: ComponentType;
  /** It shows the recorded run where that is on screen. */
  readonly showsRecorded?: true;
}

const TABS = (): readonly TabOf[] => [
  { id: 'compare', title: say`Before and after`, Content: BeforeAfter, showsRecorded: true },
  { id: 'inside', title: say`Inside`, Content: Inside, showsRecorded: true },
  { id: 'weights', title: say`Weights`, Content: Weights },
  { id: 'merge', title: say`Merge`, Content: Merge },
  { id: 'adapters', title: say`Adapters`, Content: Adapters },
  { id: 'methods', title: say`Methods`, Content: Methods },
  { id: 'runs', title: say`Runs`, Content: Runs },
];

export function Results() {
  const page = usePage();
  const tab = useUi((s) => s.seeTab);
  const next = useUi((s) => s.next);
  const isNew = useUi((s) => s.isCompareNew);
  const use = () => {
    if (!page.ui.getState().isSeeUsed) page.ui.setState({ isSeeUsed: true });
  };
  return (
    <div className="panel-scroll" onPointerDownCapture={use} onKeyDownCapture={use} onWheelCapture={use}>
      <ErrorCard panel="see" />
      {/* Around the tabs: their panels come a moment after them. */}
      <Holding name="see">
        <Tabs selectedKey={tab} onSelectionChange={(key) => page.ui.setState({ seeTab: key as SeeTab })}>
          <TabList className="tablist" aria-label={say`What to see`}>
            {TABS().map(({ id, title }) => (
              <Tab key={id} id={id} className="tab" {...(next === id ? { 'data-next': true } : {})}>
                {title}
                {isNew && id === 'compare' ? (
                  <>
                    {' '}
                    <span className="hidden"> {say`(new)`}</span>
                    <span className="tab-new" />
                  </>
                ) : null}
              </Tab>
            ))}
          </TabList>
          {TABS().map(({ id, Content, showsRecorded }) => (
            <TabPanel key={id} id={id} className="tabpanel">
              {showsRecorded ? (
                <Shown isBrief>
                  <Content />
                </Shown>
              ) : (
                <Content />
              )}
            </TabPanel>
          ))}
        </Tabs>
      </Holding>
    </div>
  );
}
