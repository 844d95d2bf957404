/** Workers that are struck while they train, in any browser: the page as it is served, but for what stands in front of its workers' own text. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'puppeteer-core';
import { expect } from 'vitest';
import { type PageServer, servePage } from '../tools/server.mjs';
import { part, press, untilState, words } from './page-tools.ts';

const WORKER = /\/worker-[^/]*\.js$/;
const CHANNEL = 'strikes';

/** In front of a worker's text: strikes as soon as it tells of a step, in the midst of training however quick that is. */
function strikeWhenTold(channel: string): void {
  /** Steps at which it is still to be struck: first its devices go, then it breaks. */
  const strikes: number[] = [];
  new BroadcastChannel(channel).onmessage = ({ data }) => void strikes.splice(0, 2, ...data);
  const devices: GPUDevice[] = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await Reflect.apply(requestDevice, this, args);
    devices.push(device);
    return device;
  };
  const { postMessage } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (...args: unknown[]) {
    Reflect.apply(postMessage, this, args);
    const told = /"type":"step".*"step":(\d+)/.exec(JSON.stringify(args[0]));
    if (told === null || !(Number(told[1]) >= strikes[0]!)) return;
    strikes.shift();
    if (strikes.length > 0) for (const device of devices) device.destroy();
    else
      setTimeout(() => {
        throw new Error('struck');
      });
  };
}

/** The built page, whose workers wait to be told when they are struck. */
export async function serveStruck(): Promise<PageServer> {
  const page = await servePage();
  const front = `(${strikeWhenTold})(${JSON.stringify(CHANNEL)});\n`;
  const server = createServer(async ({ url }, response) => {
    const answer = await fetch(new URL(url!, page.url));
    const own = Buffer.from(await answer.arrayBuffer());
    const sent = WORKER.test(url!) ? Buffer.concat([Buffer.from(front), own]) : own;
    // How it came is no matter of how it goes on.
    const headers = new Headers(answer.headers);
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'content-encoding'])
      headers.delete(name);
    headers.set('content-length', String(sent.length));
    response.writeHead(answer.status, Object.fromEntries(headers)).end(sent);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections();
      server.close();
      await page.close();
    },
  };
}

/**
 * Lets the workers of a page of {@link serveStruck} destroy the devices that they have as soon as they tell of a step from `destroyedAt` on, and break at the
 * first step from `brokenAt` on that they tell of after that.
 */
export const letStrike = (page: Page, destroyedAt: number, brokenAt: number): Promise<void> =>
  page.evaluate((channel, steps) => new BroadcastChannel(channel).postMessage(steps), CHANNEL, [
    destroyedAt,
    brokenAt,
  ]);

/** Waits for the card of an error, and goes on from the last checkpoint as it offers. */
export async function resume(page: Page, expected: RegExp): Promise<void> {
  await untilState(page, 'failed');
  expect(await words(page, part('run-error'))).toMatch(expected);
  await press(page, 'Resume from the last checkpoint');
}
