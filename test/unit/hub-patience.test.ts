/** Servers that say nothing, or too much: waited for so long and no longer, read up to a size, and what came is kept. */
import { describe, expect, it } from 'vitest';
import { askListing, searchRepos } from '../../src/hub/client.ts';
import { fetchFile } from '../../src/hub/download.ts';
import { folderOf } from '../../src/hub/names.ts';
import { hubBench, refusal } from './hub-fixtures.ts';

const bench = hubBench();
const COMMIT = '5a'.repeat(20);

/** Sends what it is given and then neither goes on nor ends, unless it is told to. */
const stalling = (first: Uint8Array, ended: { isTold: boolean }): Response =>
  new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(first),
      cancel: () => {
        ended.isTold = true;
      },
    }),
    { status: 206, headers: { 'content-range': 'bytes 0-99/100', etag: '"one"' } },
  );

const wanted = {
  url: 'https://files.test/model.onnx',
  folder: folderOf('https://files.test', 'model', 'a/b'),
  name: 'a'.repeat(40),
  label: 'model.onnx',
  size: 100,
  sha256: null,
  oid: null,
  refuse: (): never => {
    throw new Error('refused');
  },
};

describe('a server that says nothing', () => {
  it('before it answers is given up, and its request ended', async () => {
    let wasEnded = false;
    const silent: typeof fetch = (_, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => {
          wasEnded = true;
          reject(new DOMException('ended', 'AbortError'));
        });
      });
    const around = { ...bench.around, fetch: silent, silenceMs: 30 };
    for (const task of [
      () => askListing('model', 'a/b', 'main', around),
      () => searchRepos('words', 'dataset', around),
      () => fetchFile(wanted, around),
    ]) {
      wasEnded = false;
      const { kind, message } = await refusal(task());
      expect([kind, wasEnded]).toEqual(['network', true]);
      expect(message).toMatch(/has sent nothing for 0 s/);
    }
  });

  it('in the middle is given up, and what came is kept', async () => {
    const ended = { isTold: false };
    const around = {
      ...bench.around,
      fetch: async () => stalling(new Uint8Array(40), ended),
      silenceMs: 30,
    };
    const { kind, message } = await refusal(fetchFile(wanted, around));
    expect([kind, ended.isTold]).toEqual(['network', true]);
    expect(message).toMatch(/files\.test has sent nothing for 0 s; what has arrived is kept/);
    expect((await bench.store.list(wanted.folder)).get(wanted.name)).toBe(40);
  });
});

describe('a Hub', () => {
  const told: typeof fetch = async () => Response.json({ _id: 'x', id: 'a/b', gated: false, sha: COMMIT });

  it('whose answer has no end is not read to it', async () => {
    let sent = 0;
    const piece = new Uint8Array(2 ** 20).fill(32);
    const endless: typeof fetch = async () =>
      new Response(
        new ReadableStream({
          pull: (controller) => {
            sent += piece.length;
            controller.enqueue(piece);
          },
        }),
      );
    const { kind, message } = await refusal(
      askListing('model', 'a/b', 'main', { ...bench.around, fetch: endless }),
    );
    expect(kind).toBe('too-large');
    expect(message).toMatch(/bytes of an answer/);
    expect(sent).toBeLessThan(2 ** 26);
  });

  it('that answers with empty pages for ever is left', async () => {
    let pages = 0;
    const empty: typeof fetch = async (input, init) => {
      if (!String(input).includes('/tree/') && !String(input).includes('page=')) return told(input, init);
      pages++;
      return Response.json([], {
        headers: { Link: `<${bench.around.hub}/x?page=${pages}>; rel="next"` },
      });
    };
    const { kind, message } = await refusal(
      askListing('model', 'a/b', 'main', { ...bench.around, fetch: empty }),
    );
    expect(kind).toBe('network');
    expect(message).toMatch(/one empty page after another/);
    expect(pages).toBeLessThan(20);
  });

  it('is not asked with a name and password that an answer brought', async () => {
    const { host } = new URL(bench.around.hub);
    const asked: string[] = [];
    const leading: typeof fetch = async (input, init) => {
      asked.push(String(input));
      if (!String(input).includes('/tree/')) return told(input, init);
      return Response.json([], { headers: { Link: `<http://user:secret@${host}/x?page=1>; rel="next"` } });
    };
    const { message } = await refusal(
      askListing('model', 'a/b', 'main', { ...bench.around, fetch: leading }),
    );
    expect(message).toMatch(/another server/);
    expect(asked.filter((url) => url.includes('secret'))).toEqual([]);
  });

  it('behind a page to log in is told from the file', async () => {
    const portal: typeof fetch = async () =>
      new Response('<html>log in</html>', { headers: { 'content-type': 'text/html; charset=utf-8' } });
    const { kind, message } = await refusal(fetchFile(wanted, { ...bench.around, fetch: portal }));
    expect(kind).toBe('network');
    expect(message).toMatch(/a web page came/);
    expect(await bench.store.list(wanted.folder)).toEqual(new Map());
  });
});
