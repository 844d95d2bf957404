/** What a session lets happen at once: a look at the weights of one step, and nothing beside it. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { interpreterEngines } from '../../src/cli/families/interpreterEngine.ts';
import { openSubject } from '../../src/cli/families/subjects.ts';
import { surroundings } from '../../src/cli/sources.ts';
import { ownModels } from '../../src/cli/verifyFamilies.ts';
import { openSession, silentEvents } from '../../src/training/session.ts';
import { trainingSchema } from '../../src/training/settings.ts';

it('answers those who look at one step first, and others when they have ended', async () => {
  const subject = await openSubject(join(await ownModels(), 'vit'));
  const session = await openSession(
    interpreterEngines,
    {
      model: subject.source,
      data: subject.training!.data,
      method: 'lora',
      config: { r: 2 },
      training: trainingSchema.parse({ steps: 3, batchSize: 2, evalEvery: 0, evalExamples: 2 }),
    },
    surroundings,
    silentEvents,
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
  session.destroy();
});
