/** The second area: run it and watch it learn. */

import { presetById } from '../../../app/presets.ts';
import { ErrorCard } from '../../parts/ErrorCard.tsx';
import { useChoice } from '../../usePage.ts';
import { ReaderBanner, ResumeBanner, TabBanner } from './Banners.tsx';
import { Clocks } from './Clocks.tsx';
import { Figures } from './Figures.tsx';
import { Forecast } from './Forecast.tsx';
import { LossChart } from './LossChart.tsx';
import { Runs } from './Runs.tsx';
import { SideCharts } from './SideCharts.tsx';
import { Transport } from './Transport.tsx';

export function Train() {
  const preset = useChoice((s) => s.settings.preset);
  return (
    <div className="panel-scroll">
      <p className="question">{presetById(preset).question}</p>
      <Transport />
      <Forecast />
      <ReaderBanner />
      <TabBanner />
      <ResumeBanner />
      <ErrorCard panel="train" />
      <Clocks />
      <Figures />
      <LossChart />
      <SideCharts />
      <Runs />
    </div>
  );
}
