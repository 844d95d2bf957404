/** The package as npm packs it, installed into an empty folder with the examples beside it, and a plain server of that folder. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize, resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { parseSync } from 'vite';
import type { PageServer } from './server.mjs';

export const run = promisify(execFile);
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

export interface Installed {
  readonly folder: string;
  readonly unpackedBytes: number;
  /** What npm put into node_modules. */
  readonly packages: readonly string[];
}

/** Builds, packs and installs, without the network. */
export async function installPackage(): Promise<Installed> {
  const folder = await mkdtemp(join(tmpdir(), 'papilio-package-'));
  const { stdout } = await run(npm, ['pack', '--json', '--pack-destination', folder], {
    env: { ...process.env, NODE_ENV: 'production' },
    maxBuffer: 2 ** 26,
  });
  // What the build prints comes first.
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
    { readonly filename: string; readonly unpackedSize: number },
  ];
  const app = join(folder, 'app');
  await mkdir(app);
  await writeFile(join(app, 'package.json'), '{ "private": true }\n');
  await run(npm, ['install', '--offline', '--no-audit', '--no-fund', join(folder, packed.filename)], {
    cwd: app,
  });
  const packages = (await readdir(join(app, 'node_modules'))).filter((name) => !name.startsWith('.'));
  // What the user of the example installs besides; it is here already.
  await symlink(resolve('node_modules/webgpu'), join(app, 'node_modules', 'webgpu'));
  await cp('examples', app, { recursive: true });
  return { folder: app, unpackedBytes: packed.unpackedSize, packages };
}

/** What a module imports that is no file beside it, however it does: `import "x"`, `from "x"`, `import("x")`; an expression as it stands. */
export function importsOf(name: string, text: string): string[] {
  const { module } = parseSync(name, text);
  const named = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap((e) => e.moduleRequest?.value ?? [])),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) =>
      text.slice(start, end).replace(/^(["'`])(.*)\1$/, '$2'),
    ),
  ];
  return [...new Set(named)].filter((from) => !/^\.\.?\//.test(from));
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** Files of a folder under their own names, index.html as the folder's, and no header of a policy. */
export async function serveFolder(folder: string): Promise<PageServer> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url!, 'http://x');
    const name = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    const path = normalize(join(folder, decodeURIComponent(name)));
    const isThere = path.startsWith(folder) && (await stat(path).catch(() => null))?.isFile();
    response.writeHead(isThere ? 200 : 404, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    });
    if (isThere) createReadStream(path).pipe(response);
    else response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
