/** The page's training worker: a trainer that the page calls. */

import { openDB } from 'idb';
import { decodeInBrowser } from '../data/files/browserPicture.ts';
import { browserStore } from '../hub/browserStore.ts';
import { HUB_ADDRESS } from '../hub/names.ts';
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import { serve } from '../lib/workers.ts';
import { type Host, modelCache } from './openModel.ts';
import { createTrainer } from './trainer.ts';
import type { TuningStore } from './tuning.ts';

/** In a database of its own, so that what a run keeps is not bound to its version. */
const tunings = (): TuningStore => {
  let opened: ReturnType<typeof openDB> | undefined;
  const db = () => {
    opened ??= openDB('papilio-tuning', 1, {
      upgrade: (database) => void database.createObjectStore(TABLES),
    });
    return opened;
  };
  return {
    read: async (adapter) => (await db()).get(TABLES, adapter),
    write: async (adapter, kept) => void (await (await db()).put(TABLES, kept, adapter)),
  };
};
const TABLES = 'tables';

const host: Host = {
  async gpu() {
    return (
      navigator.gpu ??
      fail('no-webgpu', say`This browser has no WebGPU: use a recent Chrome, Edge, Firefox or Safari.`)
    );
  },

  // Only where it trains is it loaded.
  onnxruntime: async () => (await import('../onnxruntime/webRuntime.ts')).loadWebRuntime(),

  async readPublic(path, onBytes) {
    // The worker's script lies in assets/ of the page's folder when built, and in src/ when served for development.
    const url = new URL(path, new URL(import.meta.env.DEV ? '/' : '../', self.location.href));
    const response = await fetch(url).catch(() => null);
    if (!response?.ok || !response.body) {
      return fail(
        'network',
        response
          ? say`${path} could not be fetched (status ${response.status}); check the connection and try again.`
          : say`${path} could not be fetched; check the connection and try again.`,
        { path },
      );
    }
    const total = Number(response.headers.get('content-length') ?? 0);
    const chunks: Uint8Array[] = [];
    let done = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { value, done: over } = await reader.read();
      if (over) break;
      chunks.push(value);
      done += value.length;
      onBytes(done, Math.max(total, done));
    }
    const bytes = new Uint8Array(done);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  },

  decodeImage: decodeInBrowser,

  tunings: tunings(),

  // What was freed meanwhile is fetched again, without a token: those stay with the page.
  hub: async () => ({ store: browserStore(), fetch: (...args) => fetch(...args), hub: HUB_ADDRESS }),
};

serve(createTrainer({ ...host, modelCache: modelCache() }), [
  'checkpoint',
  'readCheckpoint',
  'inspect',
  'exportAdapter',
  'inspectAdapter',
  'adapterFiles',
]);
