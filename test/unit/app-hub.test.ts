/** Hubs and addresses on the page: what its policy does not let it ask is refused with a sentence, before anything is asked. */
import { expect, test } from 'vitest';
import { createHubDesk } from '../../src/app/hub.ts';
import type { SourceClient } from '../../src/app/sourceClient.ts';

function setUp(remembered: string | null = null) {
  const asked: string[] = [];
  const client = new Proxy({} as SourceClient, {
    get:
      (_, name) =>
      (...args: unknown[]) => {
        asked.push(`${String(name)} ${JSON.stringify(args)}`);
        return new Promise(() => {});
      },
  });
  const memory = { getItem: () => remembered, setItem: () => {}, removeItem: () => {} };
  return { desk: createHubDesk(client, () => {}, memory), asked };
}

test('addresses without TLS are not asked by the page', async () => {
  const { desk, asked } = setUp();
  expect(desk.setHub('http://127.0.0.1:8080')).toContain("the page's policy");
  expect(desk.setHub('https://hub.example/mirror/')).toBeNull();
  expect(desk.shared.getState().hub).toBe('https://hub.example/mirror');
  await desk.model.look('http://localhost:9000/model.onnx');
  expect(desk.model.view.getState().error).toMatchObject({ kind: 'bad-argument' });
  expect(desk.model.view.getState().offers).toEqual([]);
  expect(asked.filter((line) => !line.startsWith('cached'))).toEqual([]);
});

test('a Hub without TLS that an older page remembers is forgotten', () => {
  expect(setUp('http://127.0.0.1:8080').desk.shared.getState().hub).toBe('https://huggingface.co');
  expect(setUp('https://hub.example').desk.shared.getState().hub).toBe('https://hub.example');
});
