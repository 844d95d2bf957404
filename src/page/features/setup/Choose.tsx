/** The first area: what to train, on what, and how. */

import { Radio, RadioGroup } from 'react-aria-components';
import { METHODS } from '../../../adapters/registry.ts';
import { PRESETS, presetById } from '../../../app/presets.ts';
import { ErrorCard } from '../../parts/ErrorCard.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { DataSection } from './DataSection.tsx';
import { MethodSection } from './MethodSection.tsx';
import { ModelSection } from './ModelSection.tsx';
import { Section } from './Section.tsx';
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
    <section className="notice-card" role="alert" data-testid="link-problems">
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

// Presets as cards, each with the question it answers.

function PresetSection() {
  const page = usePage();
  const preset = useChoice((s) => s.settings.preset);
  return (
    <Section name="preset" title="Start from" summary={presetById(preset).title} isOpenAtFirst>
      <RadioGroup
        className="cards"
        aria-label="Presets"
        value={preset}
        onChange={(id) => page.choosePreset(id)}
      >
        {PRESETS.map(({ id, title, question, model, data, method }) => (
          <Radio key={id} value={id} className="card">
            <span className="card-title">{title}</span>
            <span className="card-question">{question}</span>
            <span className="card-facts">
              {METHODS[method].title} · {model === 'own' ? 'your model' : model} ·{' '}
              {data === 'files' ? 'your data' : data}
            </span>
          </Radio>
        ))}
      </RadioGroup>
    </Section>
  );
}
