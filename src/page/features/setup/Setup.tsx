/** The first area: what to train, on what, and how. */
import { useId } from 'react';
import { Radio, RadioGroup } from 'react-aria-components';
import { say } from '../../../common.ts';
import { bytes, methodTitle, percent, whole } from '../../format.ts';
import { ErrorCard } from '../../parts/Errors.tsx';
import { Locked } from '../../parts/Locked.tsx';
import { Measured } from '../../parts/Measured.tsx';
import { rich } from '../../parts/rich.ts';
import { useChoice, useDerived, useHold, usePage } from '../../usePage.ts';
import { MakeLesson } from '../lessons/MakeLesson.tsx';
import { describeChange } from '../runs/changes.ts';
import { MethodSection, TrainingSection } from './Method.tsx';
import { PRESETS, presetById } from './presets.ts';
import { Section } from './Section.tsx';
import { DataSection, ModelSection } from './Sources.tsx';
import { presetOver } from './settings.ts';
import { TargetsSection } from './Targets.tsx';

export function Setup() {
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
        <MakeLesson />
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
      <h3>{say`Parts of the link were not used`}</h3>
      <ul>
        {problems.map((problem) => (
          <li key={problem}>{problem}</li>
        ))}
      </ul>
      <button
        type="button"
        className="text-button"
        onClick={() => page.choice.setState({ problems: [] })}
      >{say`understood`}</button>
    </section>
  );
}

/** Presets as cards, each with the question it answers. */
function PresetSection() {
  const page = usePage();
  const preset = useChoice((s) => s.settings.preset);
  const hold = useHold('preset');
  const why = useId();
  if (hold === 'hidden') return null;
  return (
    <Section name="preset" title={say`Start from`} summary={presetById(preset).title()} isOpenAtFirst>
      <RadioGroup
        className="stack cards"
        aria-label={say`Presets`}
        value={preset}
        {...(hold === null ? {} : { isDisabled: true, 'aria-describedby': why })}
        onChange={(id) => page.choosePreset(id)}
      >
        {PRESETS.map(({ id, title, question, model, data, method }) => (
          <Radio key={id} value={id} className="card">
            <span className="card-title">{title()}</span>
            <span className="card-question">{question()}</span>
            <span className="card-facts small">
              {methodTitle(method)} · {model === 'own' ? say`your model` : model} ·{' '}
              {data === 'files' ? say`your data` : data}
            </span>
            {id === preset ? null : <Changes preset={id} />}
          </Radio>
        ))}
      </RadioGroup>
      {hold === null ? null : <Locked id={why} />}
    </Section>
  );
}

/** What a preset would change of what is set now, before it is chosen. */
function Changes({ preset }: { readonly preset: string }) {
  const settings = useChoice((s) => s.settings);
  const now = { settings, figures: null };
  const then = { settings: presetOver(settings, preset), figures: null };
  return <span className="card-changes fine">{say`changes: ${describeChange(now, then)}`}</span>;
}

/** What would train, always in sight: parameters stored and free, their share, and the bytes they take. */
function Totals() {
  const { count, share, adapterBytes, optimizerBytes, problem } = useDerived();
  if (problem !== null && (count === null || count.stored === 0)) {
    return (
      <footer className="row totals is-bad" aria-live="polite" data-testid="totals">
        {problem}
      </footer>
    );
  }
  return (
    <section className="row totals" aria-label={say`Trainable parameters`} data-testid="totals">
      {count === null ? (
        <span className="hint">{say`The counts appear when the model’s modules are known.`}</span>
      ) : (
        <>
          <span className="total-main">
            {rich`${<b>{whole(count.stored)}</b>} trainable`}
            <Measured of="trainable" about={say`stored and free parameters`} />
          </span>
          <span>{rich`${<b>{whole(count.free)}</b>} free`}</span>
          <span>{rich`${<b>{percent(share)}</b>} of the model`}</span>
          <span>{rich`adapter ${<b>{bytes(adapterBytes)}</b>}`}</span>
          <span>{rich`optimiser ${<b>{bytes(optimizerBytes)}</b>}`}</span>
          {problem === null ? null : <span className="total-problem">{problem}</span>}
        </>
      )}
    </section>
  );
}
