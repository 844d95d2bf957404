/**
 * Where no GPU trains: how an adapter is asked for, what is told of it, and the steps towards one. Seen to fail with: one way of asking alone.
 */
import { readFileSync } from 'node:fs';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openDevice } from '../../src/gpu/device.ts';
import { RECORDED, ReaderBanner } from '../../src/page/features/device/ReaderBanner.tsx';
import { Tabs } from '../../src/page/features/training/tabs.ts';
import { createPage } from '../../src/page/page.ts';
import { chartShare, numbersEveryMs } from '../../src/page/parts/share.ts';
import { PageContext } from '../../src/page/usePage.ts';
import { detectGpu, type GpuSupport, statusPage, stepsToGpu } from '../../src/page/webgpu.ts';
import type { OpenReport } from '../../src/protocol.ts';
import { fakeTrainer } from './page-fixtures.ts';

const hardware = { info: { vendor: 'acme', architecture: 'v2', device: '', description: '' } };
const software = { info: { vendor: 'google', architecture: 'swiftshader', device: '', description: '' } };

/** A browser that answers by what is asked for. */
function browser(answers: Readonly<Record<string, unknown>>) {
  const asked: string[] = [];
  const requestAdapter = async ({ powerPreference = 'any' }: { readonly powerPreference?: string } = {}) => {
    asked.push(powerPreference);
    const answer = answers[powerPreference] ?? null;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { asked, navigator: { gpu: { requestAdapter } } as unknown as Navigator };
}

describe('an adapter', () => {
  it('that no way gives, because they break, says why', async () => {
    const gone = { any: new Error('the GPU process is gone'), 'low-power': new Error('and stays so') };
    const { navigator } = browser(gone);
    expect(await detectGpu(navigator, true)).toEqual({ state: 'no-adapter', reason: 'and stays so' });
    await expect(openDevice(navigator.gpu)).rejects.toMatchObject({
      kind: 'no-adapter',
      message: expect.stringContaining('offers no adapter (and stays so)'),
    });
    await expect(openDevice(browser({}).navigator.gpu)).rejects.toThrow(/offers no adapter: check/);
    const other = browser({ ...gone, 'high-performance': software });
    expect(await detectGpu(other.navigator, true)).toMatchObject({ state: 'ready', isSoftware: true });
  });

  it('is asked for once where it is a GPU', async () => {
    const { navigator, asked } = browser({ 'high-performance': hardware });
    expect(await detectGpu(navigator, true)).toEqual({ state: 'ready', isSoftware: false, name: 'acme v2' });
    expect(asked).toEqual(['high-performance']);
  });

  it.each([
    ['the browser’s own choice', { any: hardware }, ['high-performance', 'any']],
    ['one that saves power', { 'low-power': hardware }, ['high-performance', 'any', 'low-power']],
    [
      'one after an error',
      { 'high-performance': new Error('no'), any: hardware },
      ['high-performance', 'any'],
    ],
    [
      'a GPU rather than software',
      { 'high-performance': software, any: hardware },
      ['high-performance', 'any'],
    ],
  ])('is asked for in other ways: %s', async (_, answers, ways) => {
    const { navigator, asked } = browser(answers);
    expect(await detectGpu(navigator, true)).toMatchObject({ state: 'ready', isSoftware: false });
    expect(asked).toEqual(ways);
  });

  it('of software is one, and is told as that', async () => {
    const { navigator } = browser({ any: software });
    expect(await detectGpu(navigator, true)).toEqual({
      ...{ state: 'ready', isSoftware: true, name: 'google swiftshader' },
    });
  });

  it('that no way gives is blocked; without WebGPU, or at an address without TLS, nothing is asked', async () => {
    const none = browser({});
    expect(await detectGpu(none.navigator, true)).toEqual({ state: 'no-adapter' });
    expect(none.asked).toHaveLength(3);
    expect(await detectGpu({} as Navigator, true)).toEqual({ state: 'no-webgpu' });
    const insecure = browser({ any: hardware });
    expect(await detectGpu(insecure.navigator, false)).toEqual({ state: 'insecure' });
    expect(insecure.asked).toEqual([]);
  });
});

const AGENTS = {
  chrome:
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
  linux: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
  android:
    'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36',
  edge: 'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0',
  firefox: 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
  safari: 'Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15',
  other: 'something else',
};

describe('the steps to a GPU', () => {
  const steps = (state: Parameters<typeof stepsToGpu>[0], agent: keyof typeof AGENTS) =>
    stepsToGpu(state, AGENTS[agent]).join('\n');

  it('are of the browser and of the system', () => {
    expect(steps('no-webgpu', 'chrome')).toMatch(/^Update the browser[\s\S]*chrome:\/\/settings/);
    expect(steps('no-webgpu', 'chrome')).not.toContain('flags');
    expect(steps('no-webgpu', 'linux')).toMatch(/chrome:\/\/flags.*Vulkan/);
    expect(steps('no-webgpu', 'android')).not.toContain('Vulkan');
    expect(steps('no-webgpu', 'edge')).toContain('edge://settings');
    expect(steps('no-webgpu', 'firefox')).toMatch(/^Update Firefox[\s\S]*about:config/);
    expect(steps('no-webgpu', 'safari')).toContain('Safari 26');
    expect(steps('no-webgpu', 'other')).toMatch(/recent Chrome/);
  });

  it.each(['no-adapter', 'software'] as const)(
    'send nobody to a newer version whose WebGPU is there: %s',
    (state) => {
      for (const agent of ['chrome', 'linux', 'edge', 'firefox'] as const) {
        expect(steps(state, agent)).not.toMatch(/^Update (the browser|Firefox)/);
        expect(steps(state, agent)).toMatch(/driver of the graphics card/);
      }
      expect(steps(state, 'chrome')).toContain('chrome://flags');
    },
  );

  it('are one at an address without TLS', () => {
    expect(stepsToGpu('insecure', AGENTS.chrome)).toEqual([expect.stringMatching(/https:\/\//)]);
  });

  it('have the address where the browser says more', () => {
    const pages = Object.values(AGENTS).map(statusPage);
    expect(pages).toEqual([
      ...['chrome://gpu', 'chrome://gpu', 'chrome://gpu', 'edge://gpu', 'about:support', null, null],
    ]);
  });
});

describe('the banner', () => {
  afterEach(() => vi.unstubAllGlobals());
  const unused = () => Promise.reject(new Error('not used in these tests'));
  function shown(gpu: GpuSupport | null, forecast: object = {}): string {
    vi.stubGlobal('navigator', { userAgent: AGENTS.chrome });
    vi.stubGlobal('isSecureContext', true);
    const page = createPage({
      trainer: fakeTrainer(),
      sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
      ...{ tabs: new Tabs({}), inference: unused, hub: unused, root: '/' },
    });
    page.ui.setState({ gpu });
    page.forecast.view.setState(forecast);
    // Drawn as a server would, React takes the state that a store began with.
    for (const store of [page.ui, page.forecast.view]) store.getInitialState = store.getState as () => never;
    const banner = createElement(PageContext, { value: page }, createElement(ReaderBanner));
    return renderToStaticMarkup(banner).replaceAll('\u00a0', ' ');
  }
  const ready = (isSoftware: boolean): GpuSupport => ({ state: 'ready', isSoftware, name: 'SwiftShader' });

  it('is there wherever the processor trains, and nowhere else', () => {
    expect(shown(null)).toBe('');
    expect(shown(ready(false))).toBe('');
    expect(shown(ready(true))).toMatch(
      /only software in its place \(<span>SwiftShader<\/span>\): the processor trains/,
    );
    expect(shown({ state: 'no-adapter' })).toMatch(
      /gives no GPU, though it has WebGPU: the processor trains/,
    );
    for (const gpu of [ready(true), { state: 'no-adapter' } as const])
      expect(shown(gpu)).toMatch(/chrome:\/\/gpu<\/code>[\s\S]*copy the address/);
    expect(shown({ state: 'insecure' })).not.toContain('chrome://gpu');
  });

  it('says what was recorded as recorded, and how much slower software is', () => {
    expect(shown(ready(true))).toMatch(
      /Recorded on another machine[^<]*0\.082 s[^<]*0\.63 s[^<]*8 times as long/,
    );
    expect(shown({ state: 'no-webgpu' })).toMatch(/Recorded on another machine[^<]*0\.082 s a step\./);
    const recorded = readFileSync('docs/performance.md', 'utf8');
    expect(recorded).toContain(`| page on Chromium's SwiftShader, now | ${RECORDED.software} s |`);
    expect(recorded).toContain(
      `| page without WebGPU, now, onnxruntime-web with 2 threads | ${RECORDED.onnxruntime} s |`,
    );
  });

  it('says what a step takes here once that is timed, and otherwise offers it', () => {
    const report = { engine: 'onnxruntime', secondsPerStep: 0.25 };
    expect(shown(ready(true))).toContain('Forecast a step on this machine');
    const timed = shown(ready(true), { report });
    expect(timed).toMatch(/Timed on this machine, what is chosen now: 250 ms a step with onnxruntime\./);
    expect(timed).not.toContain('Forecast a step on this machine');
    // Whoever has chosen WebGPU presses it too, and is told.
    expect(shown(ready(true), { report: { ...report, engine: 'webgpu' } })).toMatch(
      /what is chosen now: 250 ms a step with WebGPU\./,
    );
    expect(shown(ready(true), { report, isStale: true })).not.toContain('Timed on this machine');
  });
});

it.each([
  ['onnxruntime', false, true],
  ['webgpu', true, true],
  ['webgpu', false, false],
] as const)(
  'with %s, software %s, the page leaves the processor its time: %s',
  (engine, isSoftware, does) => {
    const page = createPage({
      trainer: fakeTrainer(),
      sessions: { save: async () => {}, load: async () => null, clear: async () => {} },
      ...{ tabs: new Tabs({}), inference: vi.fn(), hub: vi.fn(), root: '/' },
    });
    const open = { device: { engine, isSoftware } } as unknown as OpenReport;
    page.run.setState({ open });
    expect(chartShare()).toBe(5);
    page.run.setState({ state: 'running' });
    expect(chartShare()).toBe(does ? 15 : 5);
    expect(numbersEveryMs()).toBe(does ? 600 : 250);
    // A run that has ended leaves the page all of it.
    page.run.setState({ state: 'finished' });
    expect(chartShare()).toBe(5);
  },
);
