/** What this is, in one glance: the page in two sentences, its three methods in one each, and the ways to a first run and to one's own model. */
import type { ReactNode } from 'react';
import { say } from '../../../common.ts';
import { Action } from '../../parts/Action.tsx';
import { IconButton } from '../../parts/Icon.tsx';
import { rich } from '../../parts/rich.ts';
import { useChoice, usePage, useRun, useUi } from '../../usePage.ts';
import { PRESETS } from '../setup/presets.ts';

const FIRST = PRESETS[0]!;
const OWN = PRESETS.find(({ model }) => model === 'own')!;

interface Told {
  readonly title: string;
  /** The preset that tries it. */
  readonly preset: string;
  readonly what: string;
  readonly picture: ReactNode;
}

const METHODS_TOLD = (): readonly Told[] => [
  {
    title: 'OFT',
    preset: 'oft-equal-budget',
    what: say`turns all neurons of a layer by one rotation, made of small blocks. Where that is exact, lengths and angles stay.`,
    picture: <path d="M2 2h9v9H2zM11 11h9v9h-9zM20 20h9v9h-9zM29 29h9v9h-9z" />,
  },
  {
    title: 'BOFT',
    preset: 'letters-boft',
    what: say`multiplies sparse rotations, wired like a butterfly: few numbers, yet every input can reach every output.`,
    picture: (
      <path
        className="start-wires"
        d="M4 5h32M4 15h32M4 25h32M4 35h32M4 5l16 10M4 15l16-10M4 25l16 10M4 35l16-10M20 5l16 20M20 15l16 20M20 25l16-20M20 35l16-20"
      />
    ),
  },
  {
    title: 'FourierFT',
    preset: 'fourier-few',
    what: say`adds a change that is a sum of a few waves, and learns only how large each of them is.`,
    picture: <path className="start-wires" d="M2 13q4.500-14 9 0t9 0 9 0 9 0M2 29q9-18 18 0t18 0" />,
  },
];

/** On screen on a first visit, until a run begins or it is put away; the header brings it back. */
export function Start() {
  const page = usePage();
  const isOpen = useUi((s) => s.isStartOpen);
  const isFirst = useChoice((s) => s.settings.preset === FIRST.id);
  const hasRun = useRun((s) => s.current !== null);
  useUi((s) => s.gpu);
  useChoice(() => page.obstacle());
  if (!isOpen) return null;
  const train = () => {
    if (!isFirst) page.choosePreset(FIRST.id);
    page.ui.setState({ panel: 'train' });
    void page.controller.toggle();
  };
  const own = () => {
    page.choosePreset(OWN.id);
    page.show('model');
  };
  return (
    <section className="start" aria-label={say`What Papilio is`}>
      <div className="start-what">
        <h2>{say`Teach an ONNX model something new`}</h2>
        <p>{rich`Open a model, fine-tune it on your data or on an example, see what changed inside, and take the new ${<code>.onnx</code>} away. It all happens in this tab: nothing is uploaded.`}</p>
        <p className="row">
          <Action
            kind="strong"
            icon="play"
            text={say`Train the first example`}
            isDisabled={hasRun || (isFirst && !page.canTrain())}
            onPress={train}
          />
          <Action text={say`Use my own model`} onPress={own} />
          <a href="./labs.html">{say`Labs`}</a>
        </p>
      </div>
      <ul className="start-methods" aria-label={say`Three methods`}>
        {METHODS_TOLD().map(({ title, preset: id, what, picture }) => (
          <li key={title}>
            <svg viewBox="0 0 40 40" width="40" height="40" aria-hidden="true">
              {picture}
            </svg>
            <p>
              <b>{title}</b> {what}{' '}
              <Action
                kind="link"
                text={say`try ${title}`}
                isDisabled={hasRun}
                onPress={() => page.choosePreset(id)}
              />
            </p>
          </li>
        ))}
      </ul>
      <IconButton
        icon="cross"
        label={say`Put this away`}
        className="start-close"
        onPress={() => page.ui.setState({ isStartOpen: false })}
      />
    </section>
  );
}
