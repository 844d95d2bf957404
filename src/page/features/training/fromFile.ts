/** What the page has to choose so that its next run is the one of a checkpoint's file. */
import { fail, say } from '../../../common.ts';
import type { CheckpointReport, DataSource, ModelSource } from '../../../protocol.ts';
import type { ChoiceState } from '../setup/choice.ts';
import { acceptSettings, MODELS, type PageSettings, refuseConfig } from '../setup/settings.ts';

/** The name that settings have for a source, which comes with Papilio or is still to be put on the page by whoever has it. */
function nameFor(
  what: 'model' | 'data',
  now: { readonly chosen: string; readonly source: ModelSource | DataSource | null },
  was: NonNullable<CheckpointReport['sources']>['model'] | undefined,
): string {
  if (was === undefined) return now.chosen;
  if (was.kind === 'embedded') return was.name;
  // Whether it is the very same, its hash says once it is open.
  if (now.source !== null && now.source.kind !== 'embedded') return now.chosen;
  const name = was.name === '' ? say`text or drawings of your own` : was.name;
  return fail(
    'checkpoint',
    what === 'model'
      ? say`The checkpoint is of a run on the model ${name}: choose that under Model, then open the checkpoint again.`
      : say`The checkpoint is of a run on the data ${name}: choose that under Data, then open the checkpoint again.`,
  );
}

/**
 * @param hasGpu whether WebGPU can go on with a run of WebGPU; else what suits this machine does
 * @throws PapilioError('checkpoint') that says what does not fit, or what is to be chosen first
 */
export function choiceFor(
  { settings: { method, config, training }, sources, engine = 'webgpu', hasAdapter }: CheckpointReport,
  choice: Pick<ChoiceState, 'settings' | 'model' | 'data' | 'startFrom'>,
  hasGpu: boolean,
): Partial<ChoiceState> {
  const { settings: now, startFrom } = choice;
  const model = nameFor('model', { chosen: now.model, source: choice.model }, sources?.model);
  const data = nameFor('data', { chosen: now.data, source: choice.data }, sources?.data);
  if (!Object.hasOwn(MODELS, model))
    fail('checkpoint', say`The checkpoint is of a run on the model ${model}, which this page does not have.`);
  const accepted = acceptSettings({
    ...{ preset: now.preset, model, data, method, config },
    training: { ...training },
  });
  // Of the preset that is chosen nothing is added: the checkpoint has every field.
  const settings: PageSettings = { ...accepted.settings, config: { ...config } };
  const problem = accepted.problems[0] ?? refuseConfig(settings)?.trim();
  if (problem !== undefined)
    fail('checkpoint', say`What the checkpoint says of its run does not fit this page: ${problem}`);
  if (hasAdapter && startFrom?.method !== method)
    fail(
      'checkpoint',
      say`The checkpoint’s run went on from an adapter: open that under Adapters and choose it to go on from, then open the checkpoint again.`,
    );
  return {
    settings,
    startFrom: hasAdapter ? startFrom : null,
    ...(engine === 'webgpu' && !hasGpu ? {} : { engine }),
  };
}

/** The run's name, where the file still has the one that it was downloaded under. */
export const nameIn = (file: string): string | undefined =>
  /^([a-z]{1,20}-[a-z]{1,20})-step\d/.exec(file)?.[1];
