/**
 * A checkpoint's file on the page: what a session wrote is read, chosen and gone on from bit for bit, and what cannot be read is one sentence and changes
 * nothing.
 */
import { join } from 'node:path';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { cliHost } from '../../src/cli/sources.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { runRequest } from '../../src/page/features/setup/choice.ts';
import { Controller } from '../../src/page/features/training/controller.ts';
import { takeDropped } from '../../src/page/features/training/dropped.ts';
import { choiceFor, nameIn } from '../../src/page/features/training/fromFile.ts';
import type { Sessions } from '../../src/page/features/training/sessions.ts';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createStores } from '../../src/page/stores.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/training/checkpoint.ts';
import type { CheckpointReport, RunRequest } from '../../src/training/protocol.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { createTrainer } from '../../src/training/trainer.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { ownModels } from '../../tools/verify/families/matrix.ts';
import { openSubject } from '../../tools/verify/families/subjects.ts';
import { fakeTrainer, input, lockIn, stepMetric } from './page-fixtures.ts';

const { readCheckpoint, requireGoesOn } = createTrainer(cliHost);
const read = (bytes: Uint8Array<ArrayBuffer>, name = 'calm-apollo-step2.safetensors') =>
  readCheckpoint({ name, bytes: new File([bytes], name) });

async function begin(request: RunRequest, checkpoint?: Uint8Array) {
  return openSession(
    { engine: interpreterEngines },
    request,
    cliHost,
    undefined,
    checkpoint ? { checkpoint } : {},
  );
}

describe('a file that a session wrote', () => {
  it.each([
    ['boft', { boft_block_size: 4, boft_n_butterfly_factor: 1 }],
    ['adalora', { init_r: 3, target_r: 2, tinit: 1, tfinal: 1, deltaT: 1 }],
    ['lora', { r: 2, modules_to_save: ['classifier'] }],
  ] as const)('is chosen and gone on from, to the bit: %s', async (method, config) => {
    const subject = await openSubject(join(await ownModels(), 'vit'));
    const { data } = subject.training!;
    const training = trainingSchema.parse({ steps: 4, batchSize: 2, evalEvery: 0, evalExamples: 2 });
    const request = { model: subject.source, data, method, config, training };
    const first = await begin(request);
    await first.play(2);
    const bytes = (await first.checkpoint()) as Uint8Array<ArrayBuffer>;
    const report = await read(bytes);
    expect(report).toMatchObject({ step: 2, hasAdapter: false, bytes });
    expect(report.sources!.model.kind).toBe(subject.source.kind);
    const { choice } = createStores();
    choice.setState({ model: subject.source, data });
    const change = choiceFor(report, choice.getState(), true);
    choice.setState(change);
    const asked = { ...runRequest(choice.getState()), model: subject.source, data };
    expect(asked.config).toEqual(report.settings.config);
    const losses = async (session: Awaited<ReturnType<typeof begin>>) => {
      await session.play();
      return session.history.steps.map(({ loss }) => loss);
    };
    await expect(requireGoesOn(request, bytes)).resolves.toBeUndefined();
    const later = { ...request, training: { ...training, seed: 7 } };
    await expect(requireGoesOn(later, bytes)).rejects.toThrow(/made with other settings: seed was/);
    const kept = await losses(await begin(request, bytes));
    expect(await losses(await begin(asked, report.bytes))).toEqual(kept);
    expect(kept).toHaveLength(4);
  });
});

/** As one that the first preset's run would write. */
const report = (change: Partial<CheckpointReport> = {}): CheckpointReport => ({
  bytes: Uint8Array.of(2),
  step: 2,
  settings: { method: 'lora', config: { r: 4 }, training: trainingSchema.parse({ steps: 9 }) },
  engine: 'webgpu',
  sources: { model: { kind: 'embedded', name: 'tales-gpt' }, data: { kind: 'embedded', name: 'recipes' } },
  hasAdapter: false,
  ...change,
});
const own = { kind: 'files', name: 'mine.onnx' } as const;

describe('what a file says', () => {
  const { choice } = createStores();
  const chosen = (change: Partial<CheckpointReport> = {}, hasGpu = true) =>
    choiceFor(report(change), choice.getState(), hasGpu);

  it('chooses a model and data that come with Papilio, and nothing of the preset', () => {
    expect(choice.getState().settings).toMatchObject({ model: 'glyphs-vit', method: 'boft' });
    const { settings, engine, startFrom } = chosen();
    expect(settings).toMatchObject({ model: 'tales-gpt', data: 'recipes', method: 'lora' });
    expect(settings!.config).toEqual({ r: 4 });
    expect(settings!.training.steps).toBe(9);
    expect([engine, startFrom]).toEqual(['webgpu', null]);
  });

  it('leaves the engine to the machine where that has no GPU, and not that of a processor', () => {
    expect(chosen({}, false)).not.toHaveProperty('engine');
    expect(chosen({ engine: 'onnxruntime' }, false).engine).toBe('onnxruntime');
    expect(chosen({ engine: undefined }).engine).toBe('webgpu');
  });

  it('names a model or data that is to be chosen first', () => {
    const { data, model } = report().sources!;
    expect(() => chosen({ sources: { model: own, data } })).toThrow(
      /^The checkpoint is of a run on the model mine\.onnx: choose that under Model/,
    );
    expect(() => chosen({ sources: { model, data: { kind: 'text', name: '' } } })).toThrow(
      /^The checkpoint is of a run on the data text or drawings of your own: choose that under Data/,
    );
    expect(() => chosen({ sources: { model: { kind: 'embedded', name: 'toString' }, data } })).toThrow(
      /on the model toString, which this page does not have/,
    );
    expect(() => chosen({ hasAdapter: true })).toThrow(/went on from an adapter: open that under Adapters/);
  });

  it('counts for what is chosen where it is of files and files are chosen, or says nothing', () => {
    const other = createStores();
    other.choice.setState({ settings: { ...other.choice.getState().settings, model: 'own', data: 'text' } });
    input(other, { modelFiles: [{ name: 'mine.onnx', bytes: Uint8Array.of(1) }], text: 'words' });
    const of = (sources: CheckpointReport['sources']) =>
      choiceFor(report({ sources }), other.choice.getState(), true).settings;
    const text = { kind: 'text', name: '' } as const;
    expect(of({ model: own, data: text })).toMatchObject({ model: 'own', data: 'text' });
    expect(of(undefined)).toMatchObject({ model: 'own', data: 'text' });
  });

  it('that no form of the page takes is refused', () => {
    const { settings } = report();
    expect(() => chosen({ settings: { ...settings, config: { bias: 'both' } } })).toThrow(
      /^What the checkpoint says of its run does not fit this page: Requested bias: both, is not implemented/,
    );
    expect(() => chosen({ settings: { ...settings, config: { hurry: true } } })).toThrow(/hurry/);
  });

  it('has the run’s name while the file has', () => {
    expect(nameIn('calm-apollo-step120.safetensors')).toBe('calm-apollo');
    expect(nameIn('calm-apollo-step120 (1).safetensors')).toBe('calm-apollo');
    expect(nameIn('checkpoint.safetensors')).toBeUndefined();
    expect(nameIn(`${'x'.repeat(300)}-y-step1`)).toBeUndefined();
  });
});

function setUp() {
  const stores = createStores();
  const trainer = fakeTrainer();
  const sessions: Sessions = { save: async () => {}, load: async () => null, clear: async () => {} };
  const controller = new Controller(stores, trainer, sessions, new Tabs({}));
  return { ...stores, trainer, controller };
}

describe('the page', () => {
  let page: ReturnType<typeof setUp>;
  const file = { name: 'calm-apollo-step2.safetensors', bytes: new Blob() };
  beforeEach(() => {
    page = setUp();
    page.ui.setState({ gpu: { state: 'ready', isSoftware: false, name: 'g' } });
  });

  it('opens the run, which is paused at its step under its name', async () => {
    page.trainer.readCheckpoint = async () => report();
    await page.controller.resumeFile(file);
    expect(page.trainer.requests).toMatchObject([
      { request: { method: 'lora', model: { name: 'tales-gpt' } }, checkpoint: Uint8Array.of(2) },
    ]);
    expect(page.run.getState()).toMatchObject({ state: 'paused', current: { name: 'calm-apollo' } });
    expect(page.choice.getState().settings.method).toBe('lora');
  });

  it('takes the place of a run only once the file is read, and that can be taken back', async () => {
    await page.controller.toggle();
    for (const step of [1, 2, 3]) page.trainer.send({ type: 'step', metric: stepMetric(step), submits: 1 });
    const { current } = page.run.getState();
    const damaged = (await encodeCheckpoint({
      ...{ step: 0, settings: report().settings, modelHash: 'a1'.repeat(32), dataHash: 'b2'.repeat(32) },
      ...{ adapterHash: null, steps: [], evals: [], seconds: 0 },
      states: new Map([['trainable', Float32Array.of(1, 2)]]),
    })) as Uint8Array<ArrayBuffer>;
    await decodeCheckpoint(damaged);
    damaged[damaged.length - 1]! ^= 1;
    const hostile = [damaged, damaged.slice(0, 40), new Uint8Array(0), new TextEncoder().encode('no such')];
    for (const bytes of hostile) {
      page.trainer.readCheckpoint = () => read(bytes as Uint8Array<ArrayBuffer>);
      await page.controller.resumeFile(file);
      const { state, error } = page.run.getState();
      expect(error?.report.kind).toBe('checkpoint');
      expect([state, page.run.getState().current]).toEqual(['running', current]);
    }
    expect(page.trainer.calls).toEqual(['open', 'play']);

    page.trainer.readCheckpoint = async () => report();
    const { requireGoesOn: goesOn } = page.trainer;
    page.trainer.requireGoesOn = async ({ model }, checkpoint) => {
      // The run that the file would go on with, while the page still has its own.
      expect([model, checkpoint]).toEqual([{ kind: 'embedded', name: 'tales-gpt' }, Uint8Array.of(2)]);
      expect(page.choice.getState().settings.model).toBe('glyphs-vit');
      throw new PapilioError('checkpoint', 'The checkpoint was made with another model.');
    };
    await page.controller.resumeFile(file);
    const refused = page.run.getState();
    expect(refused.error?.report.message).toBe('The checkpoint was made with another model.');
    expect([refused.state, refused.current, refused.busy]).toEqual(['running', current, null]);
    expect(page.trainer.calls).toEqual(['open', 'play']);
    expect(page.choice.getState().settings.model).toBe('glyphs-vit');

    page.trainer.requireGoesOn = goesOn;
    await page.controller.resumeFile(file);
    expect(page.run.getState()).toMatchObject({ current: { name: 'calm-apollo' }, error: null });
    await page.controller.undoReset();
    expect(page.run.getState().current?.name).toBe(current!.name);
  });

  it('is not gone on from where a lesson keeps what it would change', async () => {
    page.trainer.readCheckpoint = async () => report();
    lockIn(page, 't.learningRate', 't.steps', 't.seed', 't.batchSize', 'method');
    const before = page.choice.getState().settings;
    await page.controller.resumeFile(file);
    expect(page.trainer.calls).toEqual([]);
    expect(page.choice.getState().settings).toEqual(before);
    expect(page.ui.getState().notice).not.toBeNull();
  });

  it('takes a checkpoint that is dropped beside every box, and nothing else', () => {
    const resumeFile = vi.spyOn(page.controller, 'resumeFile').mockResolvedValue();
    const drop = (type: 'dragover' | 'drop', names: readonly string[], isTaken = false) => {
      const files = names.map((name) => new File(['x'], name));
      const dataTransfer = { types: ['Files'], items: files, files, dropEffect: 'move' };
      const preventDefault = vi.fn();
      takeDropped(page, { type, defaultPrevented: isTaken, preventDefault, dataTransfer } as never);
      return { effect: dataTransfer.dropEffect, isPrevented: preventDefault.mock.calls.length > 0 };
    };
    expect(drop('dragover', ['a'])).toEqual({ effect: 'copy', isPrevented: true });
    expect(drop('dragover', ['a', 'b'])).toEqual({ effect: 'none', isPrevented: true });
    expect(drop('drop', ['a.safetensors'], true).isPrevented).toBe(false);
    expect(drop('drop', ['a.html']).isPrevented).toBe(true);
    expect(drop('drop', ['a.safetensors', 'b.safetensors']).isPrevented).toBe(true);
    expect(resumeFile).not.toHaveBeenCalled();
    expect(page.ui.getState().notice).toMatch(/^Only a checkpoint/);
    drop('drop', ['A.SafeTensors']);
    expect(resumeFile).toHaveBeenCalledWith({ name: 'A.SafeTensors', bytes: expect.any(File) });
  });
});

it('a file beyond what one array holds is refused before it is read', async () => {
  const arrayBuffer = vi.fn();
  const huge = Object.defineProperty(new Blob(), 'size', { value: 2 ** 31 + 1 });
  Object.defineProperty(huge, 'arrayBuffer', { value: arrayBuffer });
  await expect(readCheckpoint({ name: 'huge.safetensors', bytes: huge })).rejects.toMatchObject({
    kind: 'checkpoint',
    message: expect.stringMatching(/^huge\.safetensors is larger .*papilio finetune --resume/),
  });
  expect(arrayBuffer).not.toHaveBeenCalled();
});
