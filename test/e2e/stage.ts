/**
 * What the tests of a file act on: the built page, a browser, and a folder that takes its downloads. After the last test the file fails
 * if anything was done that the page's policy forbids, or anything was asked of the network that nobody asked for.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Browser, Target } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type Asked, askedIn, summary, unasked } from '../tools/asked.ts';
import { downloadFolder, openBrowser } from '../tools/browser.ts';
import type { BrowserKind } from '../tools/machine.mjs';
import { type PageServer, servePage } from '../tools/server.mjs';

export interface Stage {
  readonly url: string;
  readonly browser: Browser;
  readonly downloads: string;
  /** What pages and their workers tried and the policy forbade. */
  readonly violations: string[];
}

interface StageOptions {
  /** Other origins that pages are asked to fetch from. */
  readonly elsewhere?: () => readonly string[];
  /** Takes certificates that nobody vouches for. */
  readonly takesAnyCertificate?: boolean;
  /** Whether pages and their workers find an adapter at all; unless said, they do. */
  readonly hasWebGpu?: boolean;
  /** What is acted on; the built page unless said. */
  readonly serve?: () => Promise<PageServer>;
}

const isViolation = (text: string): boolean => text.includes('Content Security Policy');

/** Chromium tells a page of its workers' violations too, and of those before anyone listened. */
async function watchChrome(target: Target, violations: string[]): Promise<void> {
  if (target.type() !== 'page') return;
  const client = await target.createCDPSession();
  client.on('Log.entryAdded', ({ entry: { text, url } }) => {
    if (isViolation(text)) violations.push(`${text} (${url ?? 'inline'})`);
  });
  await client.send('Log.enable');
}

/** Firefox tells its driver what pages ask for; of violations the page itself tells (page-tools.ts). */
async function watchFirefox(target: Target, asked: Asked[], violations: string[]): Promise<void> {
  const page = await target.page();
  page?.on('console', (message) => {
    if (isViolation(message.text())) violations.push(message.text());
  });
  page?.on('request', (request) => {
    if (/^(https?|wss?):/.test(request.url()))
      asked.push({ method: request.method(), url: request.url().replace(/#.*$/, '') });
  });
}

/** Set before the first test of the file and cleared after the last; empty until then. */
export function setStage(kind: BrowserKind = 'chrome', options: StageOptions = {}): Stage {
  const { elsewhere = () => [], takesAnyCertificate = false, hasWebGpu = true, serve = servePage } = options;
  let server: PageServer | undefined;
  let browser: Browser | undefined;
  let downloads = '';
  let log = '';
  const violations: string[] = [];
  const asked: Asked[] = [];
  const origins = new Set<string>();
  beforeAll(async () => {
    server = await serve();
    downloads = await downloadFolder();
    log = join(await mkdtemp(join(tmpdir(), 'papilio-log-')), 'net.json');
    browser = await openBrowser(
      kind,
      downloads,
      kind === 'chrome'
        ? [`--log-net-log=${log}`, ...(takesAnyCertificate ? ['--ignore-certificate-errors'] : [])]
        : [],
      hasWebGpu,
    );
    browser.on('targetcreated', (target) => {
      const watching =
        kind === 'chrome' ? watchChrome(target, violations) : watchFirefox(target, asked, violations);
      // A page that was closed again at once.
      watching.catch(() => {});
    });
  }, 600_000);
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    // What it left open would hold the run that the next one looks for.
    for (const page of (await browser?.pages()) ?? []) if (page.url() !== 'about:blank') await page.close();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    if (browser === undefined || server === undefined) return;
    for (const address of elsewhere()) origins.add(new URL(address).origin);
    if (kind === 'chrome') asked.push(...askedIn(log, server.url));
    await rm(log, { force: true });
    const name = basename(expect.getState().testPath ?? 'unnamed', '.test.ts');
    await mkdir('out/asked', { recursive: true });
    await writeFile(`out/asked/${name}.txt`, summary(asked));
    expect(violations, 'what the policy forbade').toEqual([]);
    expect(asked.length, 'requests in the log').toBeGreaterThan(0);
    expect(unasked(asked, server.url, [...origins]), 'requests that nobody asked for').toEqual([]);
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
    violations,
  };
}
