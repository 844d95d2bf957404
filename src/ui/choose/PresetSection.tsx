/** Presets as cards, each with the question it answers. */
import { Radio, RadioGroup } from 'react-aria-components';
import { METHODS } from '../../adapters/registry.ts';
import { PRESETS, presetById } from '../../app/presets.ts';
import { Section } from '../parts/Section.tsx';
import { useChoice, usePage } from '../usePage.ts';

export function PresetSection() {
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
