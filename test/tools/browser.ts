/** Browsers with WebGPU for the end-to-end tests: on the machine's GPU where there is one, else on the processor. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, launch } from 'puppeteer-core';
import { type BrowserKind, findBrowser } from './machine.mjs';

/** Without these no adapter is found on Linux. */
const webGpuArguments = ['--enable-unsafe-webgpu', '--ignore-gpu-blocklist', '--enable-features=Vulkan'];

const chromeArguments = [
  '--no-sandbox',
  // SwiftShader turns this way of clearing workgroup memory into one store an element: seconds a pipeline.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--no-first-run',
];

const firefoxPreferences = {
  'dom.webgpu.workers.enabled': true,
  'gfx.webgpu.ignore-blocklist': true,
  'app.update.enabled': false,
  'toolkit.telemetry.reportingpolicy.firstRun': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'dom.max_script_run_time': 0,
};

/** Folder that a browser saves downloads in, empty at first. */
export async function downloadFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'papilio-downloads-'));
}

/**
 * Starts a headless browser of the kind; downloads go to `downloads` when given.
 * @param hasWebGpu whether pages and workers find an adapter at all
 * Throws when the machine has none, naming what to install: a test never passes by not running.
 */
export async function openBrowser(
  kind: BrowserKind,
  downloads?: string,
  moreArguments: readonly string[] = [],
  hasWebGpu = true,
): Promise<Browser> {
  const executablePath = findBrowser(kind);
  if (!executablePath) {
    const want = kind === 'chrome' ? 'Chromium, Chrome or Edge' : 'Firefox';
    throw new Error(`No ${want} was found: install it, or name it in ${kind.toUpperCase()}_PATH.`);
  }
  const common = { executablePath, headless: true, timeout: 120_000, protocolTimeout: 600_000 } as const;
  if (kind === 'chrome') {
    const downloadBehavior = downloads ? { policy: 'allow' as const, downloadPath: downloads } : undefined;
    return launch({
      ...common,
      args: [...chromeArguments, ...(hasWebGpu ? webGpuArguments : []), ...moreArguments],
      ...(downloadBehavior ? { downloadBehavior } : {}),
    });
  }
  const downloadPreferences = downloads
    ? {
        'browser.download.folderList': 2,
        'browser.download.dir': downloads,
        'browser.download.useDownloadDir': true,
      }
    : {};
  return launch({
    ...common,
    browser: 'firefox',
    extraPrefsFirefox: {
      ...firefoxPreferences,
      'dom.webgpu.enabled': hasWebGpu,
      ...downloadPreferences,
    },
  });
}
