/** Browsers with WebGPU for the end-to-end tests: on the machine's GPU where there is one, else on the processor. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, launch } from 'puppeteer-core';
import { launchOptions } from './launchOptions.mjs';
import type { BrowserKind } from './machine.mjs';

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
  const options = launchOptions(kind, hasWebGpu);
  if (kind === 'chrome')
    return launch({
      ...options,
      args: [...options.args!, ...moreArguments],
      ...(downloads ? { downloadBehavior: { policy: 'allow', downloadPath: downloads } } : {}),
    });
  const downloadPreferences = downloads
    ? {
        'browser.download.folderList': 2,
        'browser.download.dir': downloads,
        'browser.download.useDownloadDir': true,
      }
    : {};
  return launch({
    ...options,
    extraPrefsFirefox: { ...options.extraPrefsFirefox, ...downloadPreferences },
  });
}
