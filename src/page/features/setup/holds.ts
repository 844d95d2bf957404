/** The page's settings as a lesson locks or hides them, and what would change many of them at once: a sweep, a run that is gone on with, a way to fit. */
import { listOf, say } from '../../../common.ts';
import { fieldMeta } from '../../../methods.ts';
import { holdOf, holdOfSetting, type LessonView } from '../../lessons/state.ts';
import type { Stores } from '../../stores.ts';
import type { ChoiceState } from './choice.ts';
import { decodeHash } from './link.ts';
import { configShape, fullConfig, type PageSettings, sameValue, trainingShape } from './settings.ts';

interface Setting {
  readonly name: string;
  readonly title: string;
}

/** What of the page is chosen that can be locked or hidden. */
export type Chosen = Pick<ChoiceState, 'settings' | 'engine' | 'suited'>;

/** Everything in the form that can be locked or hidden, by the names that links have. */
export function settingsOf({ method }: Pick<PageSettings, 'method'>): Setting[] {
  const fields = (prefix: string, shape: ReturnType<typeof configShape>): Setting[] =>
    Object.entries(shape).flatMap(([key, schema]) => {
      const meta = fieldMeta(schema);
      // What has no title has no control.
      return meta?.title ? [{ name: `${prefix}.${key}`, title: meta.title }] : [];
    });
  return [
    { name: 'preset', title: say`Presets` },
    { name: 'model', title: say`Model` },
    { name: 'data', title: say`Data` },
    { name: 'method', title: say`Method` },
    { name: 'engine', title: say`Engine` },
    ...fields('c', configShape(method)),
    ...fields('t', trainingShape),
  ];
}

function chosenValue(name: string, { settings, engine, suited }: Chosen): unknown {
  const { config, training } = settings;
  const key = name.slice(2);
  if (name.startsWith('t.')) return training[key as 'steps'];
  // A value that is left out is the one that a run starts with.
  if (name.startsWith('c.')) return config[key] ?? { ...fullConfig(settings, null) }[key as 'target_modules'];
  return name === 'engine' ? (engine ?? suited) : settings[name as 'model'];
}

/** Of what a lesson locks or hides, what a change would make something else of: by its title. */
const heldAgainst = (lesson: LessonView | null, now: Chosen, next: Chosen): string[] =>
  settingsOf(now.settings)
    .filter(
      ({ name }) =>
        holdOf(lesson, name) !== null && !sameValue(chosenValue(name, now), chosenValue(name, next)),
    )
    .map(({ title }) => title);

/** Whether a change must be left because the lesson that is open holds some of it; a notice says which. */
export function isLeft({ choice, ui }: Pick<Stores, 'choice' | 'ui'>, change: Partial<Chosen>): boolean {
  const now = choice.getState();
  const held = heldAgainst(ui.getState().lesson, now, { ...now, ...change });
  if (held.length > 0) ui.setState({ notice: say`The lesson keeps as it is: ${listOf(held)}.` });
  return held.length > 0;
}

/** What a link chooses of what a lesson may hold. */
export function chosenBy(link: string): Pick<Chosen, 'settings' | 'engine'> {
  const { settings, beside } = decodeHash(link);
  return { settings, engine: beside.engine ?? null };
}

/** Whether a lesson locks or hides a setting by the name that a sweep has for it: `method`, `training.…` or `config.…`. */
export const holdOfField = (lesson: LessonView | null, field: string): 'locked' | 'hidden' | null =>
  holdOfSetting(lesson, field.replace(/^training\./, 't.').replace(/^config\./, 'c.'));
