/**
 * What the version before kept is opened and gone on with: sessions of the page (test/fixtures/saved/sessions.json, bytes in base64 or the path of a
 * fixture) and the folder of an interrupted `finetune`. Both checkpoints are of step 3 of 6 on the float64 interpreter, with the losses of the
 * undisturbed run. Seen to fail with: another field of a session, a request that is not the one kept, a state under another name.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readRunRecord } from '../../src/cli/python.ts';
import { cliHost, dataSource, modelSource } from '../../src/cli/sources.ts';
import { runRequest } from '../../src/page/features/setup/choice.ts';
import { Controller } from '../../src/page/features/training/controller.ts';
import { readSession, type SavedSession } from '../../src/page/features/training/sessions.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createStores } from '../../src/page/stores.ts';
import type { RunRequest } from '../../src/training/protocol.ts';
import { openSession } from '../../src/training/session.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { fakeTrainer } from './page-fixtures.ts';

const SAVED = 'test/fixtures/saved';

interface Encoded {
  readonly $file?: string;
  readonly $bytes?: string;
  readonly $floats?: string;
}

const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

function decoded(_key: string, value: Encoded | null): unknown {
  if (value?.$file !== undefined) return new Uint8Array(readFileSync(value.$file));
  if (value?.$bytes !== undefined) return bytesOf(value.$bytes);
  if (value?.$floats !== undefined) return new Float32Array(bytesOf(value.$floats).buffer);
  return value;
}

const { losses, ...sessions } = JSON.parse(readFileSync(`${SAVED}/sessions.json`, 'utf8'), decoded) as {
  losses: readonly number[];
} & Record<'files' | 'drawings' | 'hub' | 'text', SavedSession>;

/** Losses of the run that goes on from a checkpoint, those before it included. */
async function goneOn(request: RunRequest, checkpoint: Uint8Array): Promise<number[]> {
  const session = await openSession({ engine: interpreterEngines }, request, cliHost, undefined, {
    checkpoint,
  });
  expect(session.position().step).toBe(3);
  await session.play();
  return session.history.steps.map(({ loss }) => loss);
}

function openedPage(saved: SavedSession) {
  const stores = createStores();
  const trainer = fakeTrainer();
  const keeping = { save: async () => {}, load: async () => saved, clear: async () => {} };
  const controller = new Controller(stores, trainer, keeping, new Tabs({}));
  stores.run.setState({ saved: readSession(saved) });
  return { ...stores, trainer, controller };
}

describe('a session of before', () => {
  it.each(Object.entries(sessions))('of %s is opened with all that was chosen', async (_what, saved) => {
    const { choice, run, trainer, controller } = openedPage(saved);
    await controller.resumeSaved();
    expect(run.getState()).toMatchObject({ state: 'paused', saved: null, error: null });
    expect(trainer.requests).toEqual([{ request: saved.request, checkpoint: saved.checkpoint }]);
    expect(choice.getState().settings).toEqual(saved.settings);
    // The next run would be asked for as this one was.
    expect(runRequest(choice.getState())).toEqual(saved.request);
  });

  it('goes on to the same losses', async () => {
    const { trainer, controller } = openedPage(sessions.files);
    await controller.resumeSaved();
    const [{ request, checkpoint } = expect.fail('nothing was opened')] = trainer.requests;
    expect(await goneOn(request, checkpoint!)).toEqual(losses);
  });
});

it('a folder of finetune of before is read, and its checkpoint goes on to the same losses', async () => {
  const folder = `${SAVED}/finetune`;
  const { model, data, dataOptions, method, config, training, steps } = await readRunRecord(folder);
  expect(steps).toBe(3);
  const request = {
    model: await modelSource(model),
    data: { ...(await dataSource(data)), options: dataOptions },
    ...{ method, config, training },
  } as RunRequest;
  const checkpoint = new Uint8Array(readFileSync(`${folder}/checkpoint.safetensors`));
  expect(await goneOn(request, checkpoint)).toEqual(
    JSON.parse(readFileSync(`${folder}/losses.json`, 'utf8')),
  );
});
