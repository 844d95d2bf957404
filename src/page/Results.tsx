/** The third area: what training changes - answers, factors, the merged file - and adapters and methods beside each other. */
import { Tab, TabList, TabPanel, Tabs } from 'react-aria-components';
import { Adapters } from './features/adapters/Adapters.tsx';
import { Inside } from './features/inspect/Inside.tsx';
import { Merge } from './features/merge/Merge.tsx';
import { Methods } from './features/methods/Methods.tsx';
import { BeforeAfter } from './features/try/BeforeAfter.tsx';
import { Weights } from './features/weights/Weights.tsx';
import { ErrorCard } from './parts/Errors.tsx';
import type { SeeTab } from './stores.ts';
import { usePage, useUi } from './usePage.ts';

const TABS = [
  { id: 'compare', title: 'Before and after', Content: BeforeAfter },
  { id: 'inside', title: 'Inside', Content: Inside },
  { id: 'weights', title: 'Weights', Content: Weights },
  { id: 'merge', title: 'Merge', Content: Merge },
  { id: 'adapters', title: 'Adapters', Content: Adapters },
  { id: 'methods', title: 'Methods', Content: Methods },
] as const;

export function Results() {
  const page = usePage();
  const tab = useUi((s) => s.seeTab);
  return (
    <div className="panel-scroll">
      <ErrorCard panel="see" />
      <Tabs selectedKey={tab} onSelectionChange={(key) => page.ui.setState({ seeTab: key as SeeTab })}>
        <TabList className="tablist" aria-label="What to see">
          {TABS.map(({ id, title }) => (
            <Tab key={id} id={id} className="tab">
              {title}
            </Tab>
          ))}
        </TabList>
        {TABS.map(({ id, Content }) => (
          <TabPanel key={id} id={id} className="tabpanel">
            <Content />
          </TabPanel>
        ))}
      </Tabs>
    </div>
  );
}
