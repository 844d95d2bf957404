/** The third area: what training changes - answers, factors, the merged file - and adapters and methods beside each other. */
import { Tab, TabList, TabPanel, Tabs } from 'react-aria-components';
import type { SeeTab } from '../app/stores.ts';
import { Adapters } from './features/adapters/Adapters.tsx';
import { Inside } from './features/inspect/Inside.tsx';
import { Merge } from './features/merge/Merge.tsx';
import { Methods } from './features/methods/Methods.tsx';
import { Compare } from './features/try/Compare.tsx';
import { ErrorCard } from './parts/ErrorCard.tsx';
import { usePage, useUi } from './usePage.ts';

export function See() {
  const page = usePage();
  const tab = useUi((s) => s.seeTab);
  return (
    <div className="panel-scroll">
      <ErrorCard panel="see" />
      <Tabs
        className="see-tabs"
        selectedKey={tab}
        onSelectionChange={(key) => page.ui.setState({ seeTab: key as SeeTab })}
      >
        <TabList className="tablist" aria-label="What to see">
          <Tab id="compare" className="tab">
            Before and after
          </Tab>
          <Tab id="inside" className="tab">
            Inside
          </Tab>
          <Tab id="merge" className="tab">
            Merge
          </Tab>
          <Tab id="adapters" className="tab">
            Adapters
          </Tab>
          <Tab id="methods" className="tab">
            Methods
          </Tab>
        </TabList>
        <TabPanel id="compare" className="tabpanel">
          <Compare />
        </TabPanel>
        <TabPanel id="inside" className="tabpanel">
          <Inside />
        </TabPanel>
        <TabPanel id="merge" className="tabpanel">
          <Merge />
        </TabPanel>
        <TabPanel id="adapters" className="tabpanel">
          <Adapters />
        </TabPanel>
        <TabPanel id="methods" className="tabpanel">
          <Methods />
        </TabPanel>
      </Tabs>
    </div>
  );
}
