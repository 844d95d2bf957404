/** What the tests of a file act on: the built page, a browser, and a folder that takes its downloads. */
import type { Browser } from 'puppeteer-core';
import { afterAll, beforeAll } from 'vitest';
import { downloadFolder, openBrowser } from '../tools/browser.ts';
import type { BrowserKind } from '../tools/machine.mjs';
import { type PageServer, servePage } from '../tools/server.ts';

export interface Stage {
  readonly url: string;
  readonly browser: Browser;
  readonly downloads: string;
}

/** Set before the first test of the file and cleared after the last; empty until then. */
export function setStage(kind: BrowserKind = 'chrome'): Stage {
  let server: PageServer | undefined;
  let browser: Browser | undefined;
  let downloads = '';
  beforeAll(async () => {
    server = await servePage();
    downloads = await downloadFolder();
    browser = await openBrowser(kind, downloads);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  return {
    get url() {
      return server!.url;
    },
    get browser() {
      return browser!;
    },
    get downloads() {
      return downloads;
    },
  };
}
