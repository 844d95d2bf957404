/**
 * What a session lets happen at once: a look at the weights of one step, and nothing beside it; and which checkpoints it goes on from. Seen to
 * fail with: states that are not compared with those of the engine, a step that is not compared with the end.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { adapterTensor, readSafetensors, writeSafetensors } from '../../src/adapters/safetensors.ts';
import { cliHost } from '../../src/cli/sources.ts';
import type { PapilioError } from '../../src/lib/errors.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/training/checkpoint.ts';
import type { MakeEngine } from '../../src/training/engine.ts';
import { openSession } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';
import { interpreterEngines } from '../../tools/verify/families/interpreterEngine.ts';
import { ownModels } from '../../tools/verify/families/matrix.ts';
import { openSubject } from '../../tools/verify/families/subjects.ts';

it('says where it broke, and goes on', async () => {
  const subject = await openSubject(join(await ownModels(), 'vit'));
  let breaks = true;
  const breaking: MakeEngine = async (request) => {
    const engine = await interpreterEngines(request);
    return {
      ...engine,
      async train(step, batches) {
        if (step === 1 && breaks) (undefined as unknown as readonly string[]).join();
        await engine.train(step, batches);
      },
    };
  };
  const session = await openSession(
    { engine: breaking },
    {
      ...{ model: subject.source, data: subject.training!.data, method: 'lora', config: { r: 2 } },
      training: trainingSchema.parse({ steps: 2, batchSize: 2, evalEvery: 0, evalExamples: 2 }),
    },
    cliHost,
  );
  await expect(session.play()).rejects.toMatchObject({
    kind: 'internal',
    message: expect.stringMatching(
      /^Something went wrong inside Papilio: .*join.*, after step 1; go on from there, or start again from a checkpoint\.$/,
    ),
    details: { step: 1 },
  });
  breaks = false;
  await session.play();
  expect(session.history.steps.map(({ step }) => step)).toEqual([1, 2]);
});

it('goes on from a checkpoint with every state of its engine, at a step that it has', async () => {
  const subject = await openSubject(join(await ownModels(), 'vit'));
  let closed = 0;
  const watched: MakeEngine = async (request) => ({
    ...(await interpreterEngines(request)),
    close: async () => void closed++,
  });
  const open = (checkpoint?: Uint8Array, steps = 3) =>
    openSession(
      { engine: watched },
      {
        model: subject.source,
        data: subject.training!.data,
        method: 'lora',
        config: { r: 2 },
        training: trainingSchema.parse({ steps, batchSize: 2, evalEvery: 0, evalExamples: 2 }),
      },
      cliHost,
      undefined,
      checkpoint ? { checkpoint } : {},
    );
  const first = await open();
  await first.play(2);
  const bytes = await first.checkpoint();
  const whole = await decodeCheckpoint(bytes);
  const changed = (change: (states: Map<string, Float32Array>) => void): Promise<Uint8Array> => {
    const states = new Map(whole.states);
    change(states);
    return encodeCheckpoint({ ...whole, states });
  };
  const refusal = async (checkpoint: Uint8Array | Promise<Uint8Array>, steps?: number) =>
    open(await checkpoint, steps).then(
      () => 'none',
      (error: PapilioError) => `${error.kind}: ${error.message}`,
    );
  const names = [...whole.states.keys()];
  expect(names.length).toBeGreaterThan(2);
  for (const name of names) {
    const state = whole.states.get(name)!;
    const without = changed((states) => states.delete(name));
    expect(await refusal(without)).toMatch(new RegExp(`^checkpoint: .*lacks the state ${name}`));
    const short = changed((states) => states.set(name, state.subarray(1)));
    expect(await refusal(short)).toMatch(
      new RegExp(`^checkpoint: .*state ${name} has ${state.length - 1} num`),
    );
  }
  const more = changed((states) => states.set('extra', new Float32Array(1)));
  expect(await refusal(more)).toMatch(/^checkpoint: .*a state "extra"/);
  // Engines that were made for nothing are given back.
  expect(closed).toBe(2 * names.length + 1);
  expect(await refusal(bytes, 1)).toMatch(/^checkpoint: .*after 2 steps, and the run has 1 in all/);
  // As one was written before there were checksums.
  const { metadata, tensors } = readSafetensors(bytes);
  const old = writeSafetensors(new Map([...tensors].map(([name, t]) => [name, adapterTensor(name, t)])), {
    ...{ format: 'papilio-checkpoint', version: '1', run: metadata.get('run')! },
  });
  const others = await Promise.all([open(bytes), open(old)]);
  await Promise.all([first, ...others].map((session) => session.play()));
  for (const { history } of others)
    expect(history.steps.map((s) => s.loss)).toEqual(first.history.steps.map((s) => s.loss));
  const flipped = bytes.slice();
  flipped[tensors.get('trainable')!.bytes.byteOffset + 3]! ^= 2;
  expect(await refusal(flipped)).toMatch(/^checkpoint: .*does not give its checksum/);
});

it('answers those who look at one step first, and others when they have ended', async () => {
  const subject = await openSubject(join(await ownModels(), 'vit'));
  const session = await openSession(
    { engine: interpreterEngines },
    {
      model: subject.source,
      data: subject.training!.data,
      method: 'lora',
      config: { r: 2 },
      training: trainingSchema.parse({ steps: 3, batchSize: 2, evalEvery: 0, evalExamples: 2 }),
    },
    cliHost,
    undefined,
  );
  const batch = session.batches.load('held', session.batches.held(0)[0]!);
  const order: string[] = [];
  const others: Promise<unknown>[] = [];
  const look = await session.atStep(async (held) => {
    others.push(session.logits('adapted', batch).then(() => order.push('another look')));
    others.push(session.play(1).then(() => order.push('a step')));
    await held.logits('base', batch);
    await held.logits('adapted', batch);
    await held.inspect(session.plan.groups[0]!.layers[0]!.name);
    order.push('this look');
    return session.position().step;
  });
  await Promise.all(others);
  expect(look).toEqual({ step: 0, value: 0 });
  expect(order).toEqual(['this look', 'another look', 'a step']);
  await session.close();
});
