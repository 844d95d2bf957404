/** The build's part of the service worker: it becomes sw.js beside index.html, with the list of the files that the page consists of. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const WORKER = 'sw.js';
/** Larger files are kept when they were needed once: onnxruntime for GPUs. */
const LARGE_BYTES = 20 * 2 ** 20;

interface PageFile {
  readonly url: string;
  readonly bytes: number;
  /** What tells two versions of a file of one name apart; null where the name does. */
  readonly revision: string | null;
}

const hashOf = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex').slice(0, 16);

/** Files of `public/`, which the build copies as they are. */
function publicFiles(folder: string): PageFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      const content = readFileSync(path);
      return {
        url: path.slice(folder.length + 1).replaceAll('\\', '/'),
        bytes: content.length,
        revision: hashOf(content),
      };
    });
}

export const offline: Plugin = {
  name: 'offline',
  apply: 'build',
  enforce: 'post',
  buildStart() {
    this.emitFile({
      type: 'chunk',
      id: '/src/page/features/offline/serviceWorker.ts',
      fileName: WORKER,
    });
  },
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      const worker = bundle[WORKER];
      if (worker?.type !== 'chunk') throw new Error('The build made no service worker.');
      // Browsers differ in whether a service worker may be a module.
      if (worker.imports.length > 0 || worker.dynamicImports.length > 0)
        throw new Error(`${WORKER} must be one file, and imports ${worker.imports}.`);
      const built = Object.values(bundle)
        .filter(({ fileName }) => fileName !== WORKER && !fileName.endsWith('.map'))
        .map((file): PageFile => {
          const content = file.type === 'chunk' ? file.code : file.source;
          const isNamedByHash = file.fileName.startsWith('assets/');
          return {
            url: file.fileName,
            bytes: Buffer.byteLength(content),
            revision: isNamedByHash ? null : hashOf(content),
          };
        });
      const files = [...built, ...publicFiles(join(import.meta.dirname, '../../public'))];
      const now = files.filter(({ bytes }) => bytes < LARGE_BYTES);
      const later = files.filter(({ bytes }) => bytes >= LARGE_BYTES);
      worker.code = worker.code
        .replaceAll('PAGE_FILES', JSON.stringify(now.map(({ url, revision }) => ({ url, revision }))))
        .replaceAll('LATER_FILES', JSON.stringify(later.map(({ url }) => url)));
    },
  },
};
