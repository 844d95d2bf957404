/** Where a run is shown: the page's own, or the recorded one, which says so. */
import { type ReactNode, useContext } from 'react';
import { useStore } from 'zustand';
import { language, say } from '../../../common.ts';
import { Action } from '../../parts/Action.tsx';
import { rich } from '../../parts/rich.ts';
import { Sentences } from '../../parts/Sentences.tsx';
import { ChoiceContext, RunContext, useChoice, usePage } from '../../usePage.ts';
import { presetById } from '../setup/presets.ts';
import { isRecordedShown, type Recorded } from './recorded.ts';

/** The recorded run where it is on screen, else null. */
function useShown(): Recorded | null {
  const page = usePage();
  const view = useStore(page.recorded.view);
  const current = useStore(page.run, (s) => s.current);
  const settings = useChoice((s) => s.settings);
  return isRecordedShown(view, { current }, settings) ? view.recorded : null;
}

/** @param props.isBrief what it ran with is said elsewhere */
export function Shown(props: { readonly isBrief?: boolean; readonly children: ReactNode }) {
  const { isBrief = false, children } = props;
  const recorded = useShown();
  const choice = useContext(ChoiceContext);
  return (
    <RunContext value={recorded?.run ?? null}>
      <ChoiceContext value={recorded?.choice ?? choice}>
        <div className={recorded === null ? undefined : 'recorded'}>
          {recorded === null ? null : <Note recorded={recorded} isBrief={isBrief} />}
          {children}
        </div>
      </ChoiceContext>
    </RunContext>
  );
}

const day = (date: string): string =>
  new Intl.DateTimeFormat(language().locale, { dateStyle: 'long', timeZone: 'UTC' }).format(new Date(date));

function Note(props: { readonly recorded: Recorded; readonly isBrief: boolean }) {
  const { recorded, isBrief } = props;
  const { date, runtime, hardware, settings } = recorded;
  const page = usePage();
  const title = presetById(settings.preset).title();
  const hasRun = useStore(page.run, (s) => s.current !== null);
  return (
    <p className="recorded-note" data-testid="recorded">
      <b className="tag">{say`recorded`}</b>{' '}
      <Sentences>
        {isBrief
          ? say`“${title}”, ${day(date)}.`
          : say`“${title}” as it went on ${day(date)}: ${runtime}, on ${hardware}.`}
        {isBrief || hasRun ? '' : say`Train makes it live.`}
        <Action
          kind="link"
          text={hasRun ? say`back to your run` : say`hide it`}
          onPress={() => page.recorded.want(false)}
        />
      </Sentences>
    </p>
  );
}

/** The way back to the recorded run, wherever it is not on screen. */
export function RecordedAgain() {
  const page = usePage();
  const recorded = useStore(page.recorded.view, (s) => s.recorded);
  const shown = useShown();
  if (recorded === null || shown !== null) return null;
  return (
    <p className="hint recorded-again">{rich`${<Action kind="link" text={say`Show the recorded run`} onPress={() => page.recorded.want(true)} />} of “${presetById(recorded.settings.preset).title()}”.`}</p>
  );
}
