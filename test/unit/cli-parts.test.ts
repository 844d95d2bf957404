/**
 * Training part by part: a checkpoint on disk after every part of 100 steps or 20 seconds, what the disk refuses is a warning and the older
 * one stays. Seen to fail with: a checkpoint that stays in memory, a part without a clock, a warning for every part, a refusal that is not
 * tried again.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finetuneCommand } from '../../src/cli/finetune.ts';
import { checkpointIn, createKeeper, partOf, trainInParts } from '../../src/cli/finetuneParts.ts';
import { parseOptions } from '../../src/cli/options.ts';
import { PapilioError } from '../../src/lib/errors.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'papilio-parts-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A run that counts, each step taking some time. */
function counting(total: number, msPerStep = 0, from = 0) {
  let step = from;
  let stopping = false;
  const session = {
    position: () => ({ step, total }),
    checkpoint: async () => new TextEncoder().encode(`after ${step}`),
    async play(steps = Number.POSITIVE_INFINITY) {
      stopping = false;
      const until = Math.min(total, step + steps);
      while (step < until && !stopping) {
        if (msPerStep > 0) await new Promise((resolve) => setTimeout(resolve, msPerStep));
        step++;
      }
    },
    async pause() {
      stopping = true;
    },
  };
  return session;
}

/** Runs with a keeper that notes which steps it was asked to keep. */
async function kept(session: ReturnType<typeof counting>, part = partOf(undefined), out = folder) {
  const warnings: string[] = [];
  const keeper = createKeeper(session, checkpointIn(out), null, (line) => warnings.push(line));
  const at: number[] = [];
  const noting = {
    ...keeper,
    async keep() {
      await keeper.keep();
      at.push(session.position().step);
    },
  };
  const ended = await trainInParts(session, noting, part);
  return { at, ended, warnings, keeper };
}

const lies = (out = folder) => readFile(checkpointIn(out), 'utf8');

describe('a part', () => {
  it('is a hundred steps, or as many as were chosen, wherever the run goes on from', async () => {
    expect((await kept(counting(250))).at).toEqual([0, 100, 200, 250]);
    expect(await lies()).toBe('after 250');
    expect((await kept(counting(250, 0, 30))).at).toEqual([30, 100, 200, 250]);
    expect((await kept(counting(17, 0, 5), partOf(4))).at).toEqual([5, 8, 12, 16, 17]);
    expect((await kept(counting(3, 0, 3))).at).toEqual([3]);
  });

  it('is cut short by its clock, and not where its steps were chosen', async () => {
    const { at } = await kept(counting(12, 60), { steps: 100, ms: 200 });
    expect(at.length).toBeGreaterThanOrEqual(4);
    expect(at.at(-1)).toBe(12);
    // At least two steps fit into each part but the last.
    expect(at.slice(1, -1).every((step, i) => step > at[i]!)).toBe(true);
    expect((await kept(counting(12, 60), partOf(6))).at).toEqual([0, 6, 12]);
  });

  it('takes whole numbers of steps', () => {
    expect(partOf(undefined)).toEqual({ steps: 100, ms: 20_000 });
    expect(partOf(7)).toEqual({ steps: 7, ms: Number.POSITIVE_INFINITY });
    for (const wrong of [0, -3, 1.5]) expect(() => partOf(wrong)).toThrow(/--checkpoint-every takes/);
  });
});

describe('a disk that refuses', () => {
  it('is a warning and no end; the next part tries again', async () => {
    const below = join(folder, 'file');
    await writeFile(below, 'in the way');
    const session = counting(30);
    const { play } = session;
    session.play = async (steps) => {
      // Room again after two parts.
      if (session.position().step === 20) await rm(below);
      await play(steps);
    };
    const { ended, warnings, keeper } = await kept(session, partOf(10), below);
    expect(ended).toEqual({ kind: 'finished' });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(
      /file.*cannot be written.* The checkpoint of step 0 is not kept: training goes on\.$/,
    );
    expect(keeper.step()).toBe(30);
    expect(await lies(below)).toBe('after 30');
  });

  it('leaves the older checkpoint and gets another try in the end', async () => {
    const session = counting(30);
    const { checkpoint } = session;
    const out = join(folder, 'out');
    session.checkpoint = async () => {
      // From here on the folder is a file.
      if (session.position().step === 20) {
        await rm(out, { recursive: true });
        await writeFile(out, 'in the way');
      }
      return checkpoint();
    };
    const { warnings, keeper } = await kept(session, partOf(10), out);
    expect(keeper.step()).toBe(10);
    expect(warnings[0]).toMatch(/step 20 is not kept: the one of step 10 stays, training goes on/);
    await expect(keeper.retry()).rejects.toBeInstanceOf(PapilioError);
    await rm(out);
    await keeper.retry();
    expect([keeper.step(), await lies(out)]).toEqual([30, 'after 30']);
    // No second copy beside it.
    expect(await readdir(out)).toEqual(['checkpoint.safetensors']);
  });

  it('hides no error that ends the run, and what was kept stays', async () => {
    const session = counting(30);
    const { play } = session;
    session.play = async (steps) => {
      if (session.position().step === 20) {
        session.checkpoint = () => Promise.reject(new PapilioError('device-lost', 'It is gone.'));
        throw new PapilioError('device-lost', 'The device was lost.');
      }
      await play(steps);
    };
    const { ended, keeper } = await kept(session, partOf(10));
    expect(ended).toMatchObject({
      kind: 'failed',
      error: { kind: 'device-lost', message: 'The device was lost.' },
    });
    expect([keeper.step(), await lies()]).toEqual([20, 'after 20']);
  });
});

it('a signal ends the run after a checkpoint of where it is', async () => {
  const session = counting(1000, 1);
  const { play } = session;
  session.play = async (steps) => {
    setTimeout(() => process.emit('SIGINT'), 20);
    await play(steps);
  };
  const { ended, keeper } = await kept(session);
  expect(ended).toEqual({ kind: 'interrupted' });
  const { step } = session.position();
  expect(step).toBeLessThan(100);
  expect(keeper.step()).toBe(step);
  expect(await lies()).toBe(`after ${step}`);
});

describe('--resume', () => {
  const given = (...args: string[]) =>
    parseOptions(finetuneCommand.spec, ['--model', 'm', '--data', 'd', '--out', 'o', ...args]).values.resume;

  it('stands alone or with a path', () => {
    expect(given()).toBeUndefined();
    expect(given('--resume')).toBe('');
    expect(given('--resume', '--json')).toBe('');
    expect(given('--resume', 'x/checkpoint.safetensors')).toBe('x/checkpoint.safetensors');
    expect(given('--resume=-odd')).toBe('-odd');
  });
});
