/**
 * What the browser tests need from the machine: Chromium or a relative, Firefox, and Vulkan drivers that work without a GPU.
 * Plain JavaScript, because `npm test` asks before anything else runs.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { env, getuid, platform } from 'node:process';
import { swiftShaderIcd } from '../../src/cli/adapters.mjs';

const names = {
  chrome: [
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
    'google-chrome-beta',
    'chrome',
    'microsoft-edge',
    'msedge',
    'brave-browser',
  ],
  firefox: ['firefox', 'firefox-esr', 'firefox-nightly'],
};

const fixedPlaces = {
  chrome: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
    `${env.PROGRAMFILES}\\Google\\Chrome\\Application\\chrome.exe`,
    `${env['PROGRAMFILES(X86)']}\\Google\\Chrome\\Application\\chrome.exe`,
    `${env.LOCALAPPDATA}\\Google\\Chrome\\Application\\chrome.exe`,
    `${env['PROGRAMFILES(X86)']}\\Microsoft\\Edge\\Application\\msedge.exe`,
  ],
  firefox: [
    '/Applications/Firefox.app/Contents/MacOS/firefox',
    `${env.PROGRAMFILES}\\Mozilla Firefox\\firefox.exe`,
  ],
};

/** Path of a browser: 'chrome' means Chromium, Chrome, Edge or Brave. CHROME_PATH and FIREFOX_PATH come first. */
export function findBrowser(kind) {
  const chosen = kind === 'chrome' ? env.CHROME_PATH : env.FIREFOX_PATH;
  if (chosen) return chosen;
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean);
  const onPath = names[kind].flatMap((name) =>
    folders.map((folder) => join(folder, platform === 'win32' ? `${name}.exe` : name)),
  );
  return [...onPath, ...fixedPlaces[kind]].find(isExecutable);
}

/** Path of Python 3, which compiles the projects that go on with a run. */
export function findPython() {
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean);
  const files = platform === 'win32' ? ['python3.exe', 'python.exe'] : ['python3'];
  return folders.flatMap((folder) => files.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether the Vulkan loader finds a driver that computes on the processor (Mesa's lavapipe), which Deno and Firefox use. */
function hasLavapipe() {
  const folders = ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'];
  return folders.some(
    (folder) => existsSync(folder) && readdirSync(folder).some((name) => name.startsWith('lvp_')),
  );
}

function isDebianAsRoot() {
  if (platform !== 'linux' || getuid?.() !== 0) return false;
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^ID(_LIKE)?=.*debian/m.test(release) && existsSync('/usr/bin/apt-get');
}

/** Debian packages that are missing here: [] elsewhere, where nothing can be said about packages. */
function missingPackages() {
  if (platform !== 'linux') return [];
  const missing = [];
  if (!findBrowser('chrome') || !swiftShaderIcd()) missing.push('chromium');
  if (!findBrowser('firefox')) missing.push('firefox-esr');
  if (!hasLavapipe()) missing.push('mesa-vulkan-drivers');
  if (!findPython()) missing.push('python3');
  return missing;
}

/**
 * Installs what is missing where that is possible (Debian, as root), and says what is wanted otherwise.
 * Returns the sentences about what is still missing and makes a part of the tests impossible.
 */
export function prepareMachine(log) {
  const packages = missingPackages();
  if (packages.length > 0 && isDebianAsRoot()) {
    log(`Installing ${packages.join(', ')} with apt-get.`);
    const environment = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = { stdio: ['ignore', 'ignore', 'inherit'], env: environment };
    spawnSync('apt-get', ['update', '-qq'], options);
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
  }
  const wanted = [];
  if (!findBrowser('chrome') && !findBrowser('firefox')) {
    wanted.push(
      'a browser with WebGPU: Chromium, Chrome, Edge or Firefox (or CHROME_PATH, FIREFOX_PATH naming one)',
    );
  }
  if (!findPython()) wanted.push('Python 3 (Debian: apt-get install python3)');
  if (platform === 'linux' && !swiftShaderIcd() && !existsSync('/dev/dri')) {
    wanted.push('a Vulkan driver for Node: Chromium brings SwiftShader (Debian: apt-get install chromium)');
  }
  if (platform === 'linux' && !hasLavapipe() && !existsSync('/dev/dri')) {
    wanted.push('a Vulkan driver for Deno: Mesa (Debian: apt-get install mesa-vulkan-drivers)');
  }
  return wanted;
}
