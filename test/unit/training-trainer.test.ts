/**
 * The trainer's state machine over sessions and devices made for the purpose: what is said of a run, in which order, and to whom. Seen to fail:
 * steps in flight of one run told as the next one's, an answer before the events that led to it, a device that is lost after it was closed,
 * a run that is ready after its device was lost, news of a run that was left while its first evaluation ran.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { PapilioError } from '../../src/lib/errors.ts';
import type { Host } from '../../src/training/openModel.ts';
import type { RunRequest, TrainerEvent } from '../../src/training/protocol.ts';
import type { Session, SessionEvent } from '../../src/training/session.ts';
import { createTrainer } from '../../src/training/trainer.ts';
import { stepMetric } from './page-fixtures.ts';

interface FakeDevice {
  lose(error: PapilioError): void;
  isDestroyed: boolean;
}
interface FakeSession {
  readonly emit: (event: SessionEvent) => void;
  /** Ends what plays, at the step that it is at. */
  end(error?: PapilioError): void;
  step: number;
  isDestroyed: boolean;
  readonly calls: string[];
}

const made = vi.hoisted(() => ({
  devices: [] as FakeDevice[],
  sessions: [] as FakeSession[],
  /** What opening waits for. */
  opening: Promise.resolve() as Promise<unknown>,
  /** What happens while an evaluation runs. */
  evaluating: () => {},
  comparisons: [] as { readonly signal: AbortSignal }[],
}));

vi.mock('../../src/gpu/device.ts', () => ({
  async openDevice() {
    let lose: (error: unknown) => void = () => {};
    const lost = new Promise((resolve) => {
      lose = resolve;
    });
    const device = {
      ...{ lost, lose, isDestroyed: false, caps: { software: true } },
      raw: { limits: { maxBufferSize: 2 ** 20 } },
      info: { vendor: 'v', architecture: 'a', description: '' },
      destroy() {
        device.isDestroyed = true;
      },
    };
    made.devices.push(device);
    return device;
  },
}));

vi.mock('../../src/training/reports.ts', () => ({ reportModel: () => ({}), reportData: () => ({}) }));

vi.mock('../../src/training/methodComparison.ts', () => ({
  async compareMethods(_request: unknown, { signal }: { readonly signal: AbortSignal }) {
    made.comparisons.push({ signal });
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return { rows: [], isWhole: false };
  },
}));

vi.mock('../../src/training/deviceCheck.ts', () => ({
  async checkDevice(_host: unknown, _engine: unknown, _heard: unknown, signal: AbortSignal) {
    made.comparisons.push({ signal });
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return { rows: [], ended: { why: 'stopped' } };
  },
}));

const TOTAL = 10;

vi.mock('../../src/training/session.ts', () => ({
  async openSession(
    _device: unknown,
    _request: unknown,
    _host: unknown,
    emit: (event: SessionEvent) => void,
    { checkpoint }: { readonly checkpoint?: Uint8Array },
  ): Promise<Session> {
    emit({ type: 'progress', progress: { clock: 'compile', done: 1, total: 2, of: 'pipelines' } });
    await made.opening;
    emit({ type: 'progress', progress: { clock: 'compile', done: 2, total: 2, of: 'pipelines' } });
    let playing: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | null = null;
    const fake: FakeSession = {
      ...{ emit, step: checkpoint?.[0] ?? 0, isDestroyed: false, calls: [] },
      end(error) {
        const ended = playing;
        playing = null;
        if (error) ended?.reject(error);
        else ended?.resolve();
      },
    };
    made.sessions.push(fake);
    const evals = checkpoint ? [evalMetric(0)] : [];
    return {
      play: () =>
        new Promise<void>((resolve, reject) => {
          fake.calls.push('play');
          playing = { resolve, reject };
        }),
      async pause() {
        fake.calls.push('pause');
        // A step in flight is heard of before a pause has been made.
        if (playing) emit({ type: 'step', metric: stepMetric(++fake.step), submits: 1 });
        fake.end();
      },
      async close() {
        fake.isDestroyed = true;
      },
      isRunning: () => playing !== null,
      position: () => ({ step: fake.step, total: TOTAL }),
      history: { steps: Array.from({ length: fake.step }, (_, i) => stepMetric(i + 1)), evals },
      async evaluate() {
        made.evaluating();
        return evalMetric(fake.step);
      },
      checkpoint: async () => Uint8Array.of(fake.step),
      engine: { stats: { dispatchesPerStep: 1, submitsPerStep: 1, gpuBytes: 1, peakBytes: 1 } },
      ...{ opened: {}, data: {}, batches: { options: {} }, counts: {}, warnings: [] },
    } as unknown as Session;
  },
}));

const evalMetric = (step: number) =>
  ({ step, metric: 'accuracy', value: 0.5, loss: 1, examples: 4 }) as const;

const request = {} as RunRequest;
const host = { gpu: async () => ({}) } as unknown as Host;
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** What was said, in few words. */
function listener() {
  const heard: string[] = [];
  const events: TrainerEvent[] = [];
  const listen = (event: TrainerEvent): void => {
    events.push(event);
    if (event.type !== 'progress')
      heard.push(
        event.type === 'state' ? event.state : event.type === 'error' ? event.error.kind : event.type,
      );
  };
  return { heard, events, listen };
}

beforeEach(() => {
  made.devices.length = 0;
  made.sessions.length = 0;
  made.comparisons.length = 0;
  made.opening = Promise.resolve();
});

async function opened(checkpoint?: Uint8Array) {
  const trainer = createTrainer(host);
  const { heard, events, listen } = listener();
  await trainer.open(request, listen, checkpoint);
  return { trainer, heard, events, session: made.sessions[0]! };
}

describe('a run', () => {
  test('is opened, evaluated, and then ready; its report comes once', async () => {
    const { heard, events } = await opened();
    expect(heard).toEqual(['loading', 'compiling', 'eval', 'open', 'ready']);
    const open = events.find((event) => event.type === 'open');
    expect(open?.report).toMatchObject({
      totalSteps: TOTAL,
      resumedAt: 0,
      history: { steps: [], evals: [] },
    });
  });

  test('that is resumed brings its curve and is not evaluated again', async () => {
    const { heard, events } = await opened(Uint8Array.of(3));
    expect(heard).toEqual(['loading', 'compiling', 'open', 'ready']);
    const open = events.find((event) => event.type === 'open');
    expect(open?.report.resumedAt).toBe(3);
    expect(open?.report.history.steps).toHaveLength(3);
    expect(open?.report.history.evals).toEqual([evalMetric(0)]);
  });

  test('runs, pauses after the step in flight, goes on, and finishes', async () => {
    const { trainer, heard, session } = await opened();
    heard.length = 0;
    await trainer.play();
    expect(heard).toEqual(['running']);
    await trainer.pause();
    expect(heard).toEqual(['running', 'step', 'paused']);
    await trainer.play();
    session.step = TOTAL;
    session.end();
    await settle();
    expect(heard.slice(3)).toEqual(['running', 'finished']);
    // Nothing plays: nothing is said.
    await trainer.pause();
    expect(heard).toHaveLength(5);
  });

  test('answers after those who listen have heard what led to it', async () => {
    const trainer = createTrainer(host);
    const heard: string[] = [];
    const slow = async (event: TrainerEvent): Promise<void> => {
      await settle();
      if (event.type === 'state') heard.push(event.state);
    };
    await trainer.open(request, slow);
    expect(heard.at(-1)).toBe('ready');
    await trainer.play();
    expect(heard.at(-1)).toBe('running');
    await trainer.pause();
    expect(heard.at(-1)).toBe('paused');
    await trainer.play();
    made.sessions[0]!.end();
    await trainer.checkpoint();
    expect(heard.slice(-2)).toEqual(['running', 'paused']);
    made.opening = Promise.reject(new PapilioError('unsupported-onnx', 'No.'));
    await expect(trainer.open(request, slow)).rejects.toMatchObject({ kind: 'unsupported-onnx' });
    expect(heard.at(-1)).toBe('failed');
  });

  test('goes on whoever listens fails', async () => {
    const trainer = createTrainer(host);
    await trainer.open(request, () => Promise.reject(new Error('the page is gone')));
    await trainer.open(request, () => {
      throw new Error('broken');
    });
    expect(await trainer.checkpoint()).toEqual(Uint8Array.of(0));
  });

  test('that diverges can be gone on with, one without memory cannot', async () => {
    const { trainer, heard, session } = await opened();
    await trainer.play();
    heard.length = 0;
    session.end(new PapilioError('non-finite', 'The loss is NaN.'));
    await settle();
    expect(heard).toEqual(['non-finite', 'paused']);
    await trainer.play();
    heard.length = 0;
    session.end(new PapilioError('out-of-memory', 'Full.'));
    await settle();
    expect(heard).toEqual(['out-of-memory', 'failed']);
  });

  test('ends with its device, and the next is opened on another', async () => {
    const { trainer, heard, session } = await opened();
    await trainer.play();
    heard.length = 0;
    made.devices[0]!.lose(new PapilioError('device-lost', 'Lost.'));
    await settle();
    expect(heard).toEqual(['device-lost', 'failed']);
    // What was in flight then comes to nothing.
    session.emit({ type: 'step', metric: stepMetric(1), submits: 1 });
    session.end(new PapilioError('device-lost', 'Lost.'));
    await settle();
    expect(heard).toHaveLength(2);
    await expect(trainer.play()).rejects.toMatchObject({ kind: 'device-lost' });
    await trainer.open(request, () => {});
    expect(made.devices).toHaveLength(2);
  });

  test('gives way to the next without a word: its step in flight is told to nobody', async () => {
    const { trainer, heard, session } = await opened();
    await trainer.play();
    heard.length = 0;
    const next = listener();
    await trainer.open(request, next.listen);
    expect(session.calls).toEqual(['play', 'pause']);
    expect(session.isDestroyed).toBe(true);
    expect(heard).toEqual([]);
    expect(next.heard).toEqual(['loading', 'compiling', 'eval', 'open', 'ready']);
    expect(made.devices).toHaveLength(1);
  });

  test('that is left while it is opened goes no further', async () => {
    const trainer = createTrainer(host);
    let go: () => void = () => {};
    made.opening = new Promise<void>((resolve) => {
      go = resolve;
    });
    const first = listener();
    const opening = trainer.open(request, first.listen).catch((error: unknown) => error);
    await settle();
    made.opening = Promise.resolve();
    const second = listener();
    await trainer.open(request, second.listen);
    go();
    expect(await opening).toMatchObject({ kind: 'aborted', details: { left: true } });
    expect(first.heard).toEqual(['loading', 'compiling']);
    expect(second.heard.at(-1)).toBe('ready');
  });

  test('that is left while it is evaluated first says no more', async () => {
    const trainer = createTrainer(host);
    const first = listener();
    const second = listener();
    let next: Promise<void> | undefined;
    made.evaluating = () => {
      made.evaluating = () => {};
      next = trainer.open(request, second.listen);
    };
    await expect(trainer.open(request, first.listen)).rejects.toMatchObject({
      kind: 'aborted',
      details: { left: true },
    });
    await next;
    expect(first.heard).toEqual(['loading', 'compiling']);
    expect(made.sessions[0]!.isDestroyed).toBe(true);
    expect(second.heard.at(-1)).toBe('ready');
  });

  test('whose device is lost while it is opened fails once, and is not open', async () => {
    const trainer = createTrainer(host);
    const { heard, listen } = listener();
    let go: () => void = () => {};
    made.opening = new Promise<void>((resolve) => {
      go = resolve;
    });
    const opening = trainer.open(request, listen, Uint8Array.of(3)).catch((error: unknown) => error);
    await settle();
    made.devices[0]!.lose(new PapilioError('device-lost', 'Lost.'));
    await settle();
    go();
    expect(await opening).toMatchObject({ kind: 'device-lost' });
    expect(heard).toEqual(['loading', 'compiling', 'device-lost', 'failed']);
    await expect(trainer.play()).rejects.toMatchObject({ kind: 'device-lost' });
  });

  test('that is closed is gone with its device, whose end is no news', async () => {
    const { trainer, heard, session } = await opened();
    await trainer.play();
    heard.length = 0;
    await trainer.close();
    expect(session.isDestroyed).toBe(true);
    expect(made.devices[0]!.isDestroyed).toBe(true);
    made.devices[0]!.lose(new PapilioError('device-lost', 'Destroyed.'));
    await settle();
    expect(heard).toEqual([]);
    await expect(trainer.checkpoint()).rejects.toMatchObject({ kind: 'bad-argument' });
  });

  test('that cannot be opened has failed, and says why to who asked', async () => {
    const trainer = createTrainer(host);
    made.opening = Promise.reject(new PapilioError('unsupported-onnx', 'No.'));
    const { heard, listen } = listener();
    await expect(trainer.open(request, listen)).rejects.toMatchObject({ kind: 'unsupported-onnx' });
    expect(heard).toEqual(['loading', 'compiling', 'failed']);
    // The device that it was to have is no more its own.
    made.devices[0]!.lose(new PapilioError('device-lost', 'Lost.'));
    await settle();
    expect(heard).toHaveLength(3);
  });

  test('pauses for a comparison of methods, which gives way to it in turn', async () => {
    const { trainer, heard } = await opened();
    await trainer.play();
    heard.length = 0;
    const comparing = trainer.compareMethods({} as never, () => {});
    await settle();
    expect(heard).toEqual(['step', 'paused']);
    expect(made.comparisons[0]!.signal.aborted).toBe(false);
    await trainer.play();
    expect(await comparing).toMatchObject({ isWhole: false });
  });

  test('the device is checked while nothing trains, and the check ends when something does, or when it is told to', async () => {
    const { trainer } = await opened();
    await trainer.play();
    await expect(trainer.checkDevice('webgpu', () => {})).rejects.toMatchObject({
      kind: 'bad-argument',
      message: expect.stringContaining('pause the run first'),
    });
    await trainer.pause();
    const checking = trainer.checkDevice('webgpu', () => {});
    await settle();
    await trainer.play();
    expect(await checking).toMatchObject({ ended: { why: 'stopped' } });
    await trainer.pause();
    const again = trainer.checkDevice('webgpu', () => {});
    await settle();
    // What is compared beside it leaves it alone, and is left alone.
    const comparing = trainer.compareMethods({} as never, () => {});
    await settle();
    await trainer.stopMethodComparison();
    expect(await comparing).toMatchObject({ isWhole: false });
    expect(await Promise.race([again, 'still checking'])).toBe('still checking');
    await trainer.stopDeviceCheck();
    expect(await again).toMatchObject({ ended: { why: 'stopped' } });
  });
});
