/** Train, Step, Reset: the buttons of the command table, and what the run is doing. */
import { Button } from 'react-aria-components';
import { type Command, commandById } from '../../app/commands.ts';
import type { RunState } from '../../training/protocol.ts';
import { Icon, type IconName } from '../parts/Icon.tsx';
import { useChoice, useDerived, usePage, useRun, useUi } from '../usePage.ts';

const STATES: Readonly<Record<RunState, string>> = {
  idle: 'ready when you are',
  loading: 'loading',
  compiling: 'compiling',
  ready: 'ready',
  running: 'training',
  paused: 'paused',
  finished: 'finished',
  failed: 'stopped',
};

function CommandButton(props: {
  readonly command: Command;
  readonly icon: IconName;
  readonly label: string;
  readonly isMain?: boolean;
}) {
  const { command, icon, label, isMain = false } = props;
  const page = usePage();
  return (
    <Button
      className={isMain ? 'button button-train' : 'button'}
      isDisabled={!command.isEnabled(page)}
      onPress={() => command.run(page)}
      aria-keyshortcuts={command.keyLabel}
    >
      <Icon name={icon} />
      {label}
    </Button>
  );
}

export function Transport() {
  const page = usePage();
  const state = useRun((s) => s.state);
  const current = useRun((s) => s.current);
  const undo = useRun((s) => s.undo);
  const busy = useRun((s) => s.busy);
  // These decide which buttons are enabled.
  useDerived();
  useUi((s) => s.gpu);
  const obstacle = useChoice(() => page.obstacle());
  useChoice((s) => s.startFrom);
  const isChanged = page.isChanged();
  const label =
    state === 'running'
      ? 'Pause'
      : state === 'paused' || (state === 'ready' && current !== null)
        ? 'Continue'
        : state === 'finished'
          ? 'Finished'
          : 'Train';
  return (
    <div className="transport">
      <div className="transport-buttons">
        <CommandButton
          command={commandById('toggle')}
          icon={state === 'running' ? 'pause' : state === 'finished' ? 'check' : 'play'}
          label={label}
          isMain
        />
        <CommandButton command={commandById('step')} icon="step" label="Step" />
        {isChanged ? (
          <Button className="button button-strong" onPress={() => void page.controller.restart()}>
            <Icon name="reset" />
            Restart with changes
          </Button>
        ) : (
          <CommandButton command={commandById('reset')} icon="reset" label="Reset" />
        )}
        {undo === null ? null : (
          <Button className="text-button" onPress={() => void page.controller.undoReset()}>
            undo reset
          </Button>
        )}
      </div>
      <p className="transport-state" data-state={state}>
        <i className="state-dot" />
        {busy ?? (state === 'idle' ? (obstacle ?? STATES.idle) : STATES[state])}
        {current === null ? null : <b>{current.name}</b>}
      </p>
    </div>
  );
}
