/** How the run trains, from the training schema. */
import { fieldMeta } from '../../../adapters/fields.ts';
import { controlOf } from '../../../app/controls.ts';
import { real } from '../../../app/format.ts';
import { baseOf, runTraining, trainingShape } from '../../../app/settings.ts';
import { useChoice, usePage } from '../../usePage.ts';
import { Advanced, Field } from './Field.tsx';
import { Section } from './Section.tsx';

const MAIN = ['learningRate', 'steps', 'batchSize', 'schedule', 'seed'];

export function TrainingSection() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const { training } = settings;
  const report = useChoice((s) => s.report);
  const { learningRate } = runTraining(settings, report);
  const base = baseOf(settings).training as unknown as Record<string, unknown>;
  const values = training as unknown as Record<string, unknown>;
  const field = (key: string) => {
    const schema = trainingShape[key]!;
    const meta = fieldMeta(schema)!;
    return (
      <Field
        key={key}
        id={`training-${key}`}
        title={meta.title}
        description={meta.description}
        control={controlOf(schema, undefined)}
        value={values[key]}
        initial={base[key]}
        filled={
          key === 'learningRate' && learningRate !== training.learningRate
            ? `For layers of width 64; on this model the run takes ${real(learningRate).replace(/0+$/, '')}.`
            : undefined
        }
        onChange={(value) => page.setTraining(key, value)}
      />
    );
  };
  const others = Object.keys(trainingShape).filter((key) => !MAIN.includes(key));
  const length = training.epochs > 0 ? `${training.epochs} epochs` : `${training.steps} steps`;
  return (
    <Section
      name="training"
      title="Training"
      summary={`${length} of ${training.batchSize}, rate ${real(learningRate).replace(/0+$/, '')}`}
    >
      <div className="fields">{MAIN.map(field)}</div>
      <Advanced count={others.length}>{others.map(field)}</Advanced>
    </Section>
  );
}
