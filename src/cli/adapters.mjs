/**
 * Finds what can run WebGPU outside a browser on this machine: the Deno binary, SwiftShader's Vulkan driver, and which adapter each
 * runtime gets. Plain JavaScript because the launcher and the test runner read it before anything is built.
 *
 * Run directly (`node adapters.mjs` or `deno run adapters.mjs`), it prints its own runtime's adapter as one line of JSON.
 */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir, uptime } from 'node:os';
import { dirname, join } from 'node:path';
import { arch, argv, env, execPath, pid, platform, versions } from 'node:process';
import { fileURLToPath } from 'node:url';
import { isSoftwareAdapter } from '../lib/softwareAdapter.mjs';

/** Where Chromium and its relatives keep SwiftShader, with the driver file that tells the Vulkan loader about it. */
const browserFolders = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/usr/lib64/chromium-browser',
  '/opt/google/chrome',
  '/opt/microsoft/msedge',
  '/opt/brave.com/brave',
  '/snap/chromium/current/usr/lib/chromium-browser',
];

/** Path of a SwiftShader driver file, or undefined when no Chromium-like browser with one is installed. */
export function swiftShaderIcd() {
  return browserFolders
    .map((folder) => join(folder, 'vk_swiftshader_icd.json'))
    .find((file) => existsSync(file));
}

/** Path of the Deno binary in node_modules (present without any install script), or undefined on a platform that has none. */
export function denoBinary(root) {
  const target = `${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`;
  try {
    const folder = dirname(createRequire(join(root, 'package.json')).resolve(`@deno/${target}/package.json`));
    const binary = join(folder, platform === 'win32' ? 'deno.exe' : 'deno');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The command line that runs `script` in a runtime.
 * `driver` is a Vulkan driver file to use instead of the system's own.
 */
export function commandFor(root, runtime, script, driver) {
  const environment = { ...env, ...(driver ? { VK_ICD_FILENAMES: driver } : {}) };
  // Vulkan drivers complain on standard error about a desktop session that a server does not have.
  if (platform === 'linux' && !environment.XDG_RUNTIME_DIR) environment.XDG_RUNTIME_DIR = tmpdir();
  if (runtime === 'node')
    return { command: execPath, args: ['--max-old-space-size=8192', script], env: environment };
  const flags = [
    '-A',
    '--unstable-webgpu',
    '--node-modules-dir=manual',
    '--no-lock',
    '--v8-flags=--max-old-space-size=8192',
  ];
  return {
    command: denoBinary(root),
    args: ['run', '--quiet', ...flags, script],
    env: { ...environment, DENO_NO_UPDATE_CHECK: '1' },
  };
}

/**
 * Which adapter each way of running gets, best first: `[{ runtime, driver?, adapter, software }]`.
 * A GPU comes first, then wgpu on a software driver (the faster one by far), then Dawn on SwiftShader.
 * The answer is kept in `.cache/` until the machine restarts or its drivers change.
 */
export async function findAdapters(root) {
  const file = join(root, '.cache', 'adapters.json');
  const key = machineKey(root);
  try {
    const cached = JSON.parse(readFileSync(file, 'utf8'));
    if (cached.key === key && cached.found.length > 0) return cached.found;
  } catch {
    // No cache yet, or one that cannot be read: probe again.
  }
  const swiftShader = env.VK_ICD_FILENAMES || env.VK_DRIVER_FILES ? undefined : swiftShaderIcd();
  const ways = [{ runtime: 'node' }];
  if (denoBinary(root)) ways.push({ runtime: 'deno' });
  if (swiftShader) ways.push({ runtime: 'node', driver: swiftShader });
  if (swiftShader && denoBinary(root)) ways.push({ runtime: 'deno', driver: swiftShader });
  const probed = await Promise.all(ways.map(async (way) => ({ ...way, adapter: await probe(root, way) })));
  const rank = (way) =>
    way.software ? (way.runtime === 'deno' && !way.driver ? 1 : way.runtime === 'node' ? 2 : 3) : 0;
  const found = probed
    .filter((way) => way.adapter)
    .map((way) => ({ ...way, software: isSoftwareAdapter(way.adapter) }))
    .sort((a, b) => rank(a) - rank(b));
  try {
    mkdirSync(dirname(file), { recursive: true });
    // Beside and renamed, as disk.ts does once there is a build.
    writeFileSync(`${file}.${pid}`, JSON.stringify({ key, found }));
    renameSync(`${file}.${pid}`, file);
  } catch {
    // A read-only checkout only costs the probe each time.
  }
  return found;
}

/** Everything that may change the answer: boot, runtimes, environment, Vulkan drivers, device nodes. */
function machineKey(root) {
  const folders = [
    '/usr/share/vulkan/icd.d',
    '/etc/vulkan/icd.d',
    '/usr/local/share/vulkan/icd.d',
    '/dev/dri',
  ];
  const seen = folders.map((folder) => {
    try {
      return [folder, readdirSync(folder), statSync(folder).mtimeMs];
    } catch {
      return folder;
    }
  });
  const boot = existsSync('/proc/sys/kernel/random/boot_id')
    ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    : Math.round((Date.now() / 1000 - uptime()) / 600);
  const variables = Object.entries(env).filter(([name]) =>
    /^(VK_|WGPU_|DAWN_|CUDA_VISIBLE|NVIDIA_VISIBLE)/.test(name),
  );
  return JSON.stringify([
    boot,
    versions.node,
    statSync(join(root, 'package-lock.json')).mtimeMs,
    seen,
    swiftShaderIcd(),
    variables,
  ]);
}

/** Asks one runtime for its adapter in a process of its own, since a broken driver may crash or hang. */
function probe(root, way) {
  const {
    command,
    args,
    env: environment,
  } = commandFor(root, way.runtime, fileURLToPath(import.meta.url), way.driver);
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: environment,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 30_000,
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.on('error', () => resolve(null));
    child.on('close', () => {
      try {
        resolve(JSON.parse(output.trim().split('\n').at(-1) ?? 'null'));
      } catch {
        resolve(null);
      }
    });
  });
}

async function describeOwnAdapter() {
  let gpu = globalThis.navigator?.gpu;
  if (!globalThis.Deno) gpu = (await import('webgpu')).create([]);
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return null;
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return {
    vendor,
    architecture,
    device,
    description,
    isFallbackAdapter: Boolean(isFallbackAdapter),
  };
}

if (argv[1] && /[\\/]adapters\.mjs$/.test(argv[1])) {
  console.log(JSON.stringify(await describeOwnAdapter()));
  process.exit(0);
}
