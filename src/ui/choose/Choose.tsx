/** The first area: what to train, on what, and how. */
import { ErrorCard } from '../parts/ErrorCard.tsx';
import { useChoice, usePage } from '../usePage.ts';
import { DataSection } from './DataSection.tsx';
import { MethodSection } from './MethodSection.tsx';
import { ModelSection } from './ModelSection.tsx';
import { PresetSection } from './PresetSection.tsx';
import { TargetsSection } from './TargetsSection.tsx';
import { Totals } from './Totals.tsx';
import { TrainingSection } from './TrainingSection.tsx';

export function Choose() {
  return (
    <>
      <div className="panel-scroll">
        <ErrorCard panel="choose" />
        <LinkProblems />
        <PresetSection />
        <ModelSection />
        <DataSection />
        <MethodSection />
        <TargetsSection />
        <TrainingSection />
      </div>
      <Totals />
    </>
  );
}

function LinkProblems() {
  const page = usePage();
  const problems = useChoice((s) => s.problems);
  if (problems.length === 0) return null;
  return (
    <section className="notice-card" role="alert">
      <h3>Parts of the link were not used</h3>
      <ul>
        {problems.map((problem) => (
          <li key={problem}>{problem}</li>
        ))}
      </ul>
      <button type="button" className="text-button" onClick={() => page.choice.setState({ problems: [] })}>
        understood
      </button>
    </section>
  );
}
