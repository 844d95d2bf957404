/** How it trains: the method, what it is, and its settings and those of the run as their schemas describe them. */
import { useDeferredValue, useId, useMemo } from 'react';
import { Radio, RadioGroup } from 'react-aria-components';
import { say } from '../../../common.ts';
import { FAMILIES, fieldMeta, METHODS, type MethodCard, type MethodId } from '../../../methods.ts';
import { ENGINE_TITLES, type EngineName } from '../../../protocol.ts';
import { methodTitle, real } from '../../format.ts';
import { Action } from '../../parts/Action.tsx';
import { Formula, Lights } from '../../parts/Formula.tsx';
import { Locked } from '../../parts/Locked.tsx';
import { later } from '../../parts/later.tsx';
import { Picker } from '../../parts/Picker.tsx';
import { rich } from '../../parts/rich.ts';
import { useChoice, useHold, useIsShown, usePage } from '../../usePage.ts';
import { derive } from './derive.ts';
import { Advanced, Field } from './Field.tsx';
import { Section } from './Section.tsx';
import { baseOf, configShape, fullConfig, runTraining, trainingShape, withField } from './settings.ts';

const MethodPicture = later<'MethodPicture', { readonly method: MethodId }>(
  'MethodPicture',
  () => import('./MethodPicture.tsx'),
);

const GROUPS = Object.entries(FAMILIES).map(([id, family]) => ({
  ...{ id, family },
  methods: Object.values(METHODS).filter((method) => method.family === id),
}));

const CARDS = import.meta.glob<MethodCard>('/src/adapters/*/card.ts', { eager: true, import: 'card' });

export function MethodSection() {
  const method = useChoice((s) => s.settings.method);
  const card = CARDS[`/src/adapters/${method}/card.ts`]!;
  return (
    <Section name="method" title={say`Method`} summary={methodTitle(method)}>
      <MethodChoice />
      <Lights>
        <div className="method-card">
          <p>{card.idea()}</p>
          <MethodPicture method={method} />
          <Formula source={card.formula.split(FORMULA_BREAK)} />
          <p className="try-this">
            <b>{say`Try this.`}</b> {card.tryThis()}
          </p>
          <Paper text={card.paper()} />
        </div>
        <MethodForm />
      </Lights>
    </Section>
  );
}

function MethodChoice() {
  const page = usePage();
  const method = useChoice((s) => s.settings.method);
  const hold = useHold('method');
  const why = useId();
  if (hold === 'hidden') return null;
  return (
    <>
      <RadioGroup
        className="families"
        aria-label={say`Method`}
        value={method}
        {...(hold === null ? {} : { isDisabled: true, 'aria-describedby': why })}
        onChange={(id) => page.choose({ method: id as MethodId })}
      >
        {GROUPS.map(({ id: group, family, methods }) => (
          <div key={group} className="family">
            <span className="small">{family()}</span>
            <span className="segments">
              {methods.map(({ id }) => (
                <Radio key={id} value={id} className="segment">
                  {methodTitle(id as MethodId)}
                </Radio>
              ))}
            </span>
          </div>
        ))}
      </RadioGroup>
      {hold === null ? <StartNote /> : <Locked id={why} />}
    </>
  );
}

/** A run that goes on from an adapter: which, and the way back. */
function StartNote() {
  const page = usePage();
  const startFrom = useChoice((s) => s.startFrom);
  if (startFrom === null)
    return (
      <Action
        kind="link"
        text={say`or go on from an adapter`}
        onPress={() => page.ui.setState({ panel: 'see', seeTab: 'adapters' })}
      />
    );
  return (
    <section className="notice-card start-note" aria-label={say`Where the run begins`}>
      <p>{rich`Goes on from ${<b>{startFrom.name}</b>}: its method, targets and settings count; data and training are yours to choose.`}</p>
      <Action kind="link" text={say`start afresh instead`} onPress={() => page.startAfresh()} />
    </section>
  );
}

/** Formulas joined by `,\\quad` stand below each other, so that they fit a narrow column. */
const FORMULA_BREAK = /,\s*\\quad\s*/;

const ARXIV = /^(.*)\(arXiv:([\d.]+)\)$/;

/** The paper, with the way to it. */
function Paper({ text }: { readonly text: string }) {
  const [, title, number] = ARXIV.exec(text) ?? [];
  return (
    <p className="paper small">
      {number === undefined ? (
        text
      ) : (
        <>
          {title}
          <a href={`https://arxiv.org/abs/${number}`} rel="noreferrer">{`arXiv:${number}`}</a>
        </>
      )}
    </p>
  );
}

function MethodForm() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const report = useChoice((s) => s.report);
  const shape = configShape(settings.method);
  const config = fullConfig(settings, report) as unknown as Record<string, unknown>;
  const initial = fullConfig(baseOf(settings), report) as unknown as Record<string, unknown>;
  // Each stop derives everything once more: that comes after the input is on screen.
  const shown = useDeferredValue(settings);
  /** Why a value is illegal with everything else as it is. */
  const reasonFor = useMemo(() => {
    const found = new Map<string, string | null>();
    return (key: string, value: number): string | null => {
      if (!Object.hasOwn(configShape(shown.method), key)) return null;
      const name = `${key} ${value}`;
      if (!found.has(name)) found.set(name, derive(withField(shown, report, key, value), report).problem);
      return found.get(name)!;
    };
  }, [shown, report]);
  const { steps, epochs } = settings.training;
  const decided = METHODS[settings.method].forRun?.(config, steps) ?? {};
  const filledBy = (key: string): string | undefined => {
    if (!Object.hasOwn(decided, key)) return undefined;
    return epochs > 0
      ? say`Left open: the run fills in its own steps, once its data is open.`
      : say`Left open: filled in by the run, ${String(decided[key])}.`;
  };
  const field = (key: string) => (
    <Field
      key={`${settings.method}.${key}`}
      id={`config-${key}`}
      schema={shape[key]!}
      value={config[key]}
      initial={initial[key]}
      filled={filledBy(key)}
      reasonFor={(value) => reasonFor(key, value)}
      onChange={(value) => page.setConfig(key, value)}
    />
  );
  const isShown = useIsShown('c');
  const keys = (group: string) =>
    Object.keys(shape).filter((key) => fieldMeta(shape[key]!)?.group === group && isShown(key));
  const advanced = keys('advanced');
  return (
    <>
      {keys('main').map(field)}
      {advanced.length > 0 ? <Advanced>{advanced.map(field)}</Advanced> : null}
    </>
  );
}

const MAIN = ['learningRate', 'steps', 'batchSize', 'schedule', 'seed'];

/** How long and how fast the run trains. */
export function TrainingSection() {
  const page = usePage();
  const settings = useChoice((s) => s.settings);
  const { training } = settings;
  const report = useChoice((s) => s.report);
  const { learningRate } = runTraining(settings, report);
  const base = baseOf(settings).training as unknown as Record<string, unknown>;
  const values = training as unknown as Record<string, unknown>;
  const rate = real(learningRate).replace(/(?<!0)0+$/, '');
  const field = (key: string) => (
    <Field
      key={key}
      id={`training-${key}`}
      schema={trainingShape[key]!}
      value={values[key]}
      initial={base[key]}
      filled={
        key === 'learningRate' && learningRate !== training.learningRate
          ? say`For layers of width 64; on this model the run takes ${rate}.`
          : undefined
      }
      onChange={(value) => page.setTraining(key, value)}
    />
  );
  const isShown = useIsShown('t');
  const others = Object.keys(trainingShape).filter((key) => !MAIN.includes(key) && isShown(key));
  const length = training.epochs > 0 ? say`${training.epochs} epochs` : say`${training.steps} steps`;
  return (
    <Section
      name="training"
      title={say`Training`}
      summary={say`${length} of ${training.batchSize}, rate ${rate}`}
    >
      {MAIN.map(field)}
      <EngineChoice />
      <Advanced>{others.map(field)}</Advanced>
    </Section>
  );
}

/** What computes: by itself the engine that suits the machine. */
function EngineChoice() {
  const page = usePage();
  const engine = useChoice((s) => s.engine);
  const suited = useChoice((s) => s.suited);
  const hold = useHold('engine');
  const why = useId();
  if (hold === 'hidden') return null;
  const picker = (
    <Picker
      label={say`Engine`}
      value={engine ?? 'auto'}
      isDisabled={hold !== null}
      describedBy={hold === null ? undefined : why}
      items={[
        { id: 'auto', title: suited === null ? say`automatic` : say`automatic (${ENGINE_TITLES[suited]})` },
        ...Object.entries(ENGINE_TITLES).map(([id, title]) => ({ id, title })),
      ]}
      onChange={(id) => page.choice.setState({ engine: id === 'auto' ? null : (id as EngineName) })}
    />
  );
  return (
    <div className="field">
      {picker}
      {hold === null ? null : <Locked id={why} />}
    </div>
  );
}
