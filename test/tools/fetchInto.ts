/** A process that fetches a model into a store in a folder and prints what came: FOLDER HUB REPO, or FOLDER HUB ADDRESS. */
import { createHash } from 'node:crypto';
import process from 'node:process';
import { folderStore } from '../../src/cli/hubFolder.ts';
import { openSource } from '../../src/hub/open.ts';

const [root = '', hub = '', what = ''] = process.argv.slice(2);
const { files } = await openSource(
  what.startsWith('http')
    ? { kind: 'url', url: what }
    : { kind: 'hub', repo: what, files: ['onnx/model.onnx'] },
  'model',
  { store: folderStore(root), fetch, hub },
  { onBytes: (done) => process.stderr.write(`${done}\n`) },
);
const told = await Promise.all(
  files.map(
    async ({ path, read }) =>
      `${path} ${createHash('sha256')
        .update(await read())
        .digest('hex')}`,
  ),
);
process.stdout.write(told.sort().join('\n'));
