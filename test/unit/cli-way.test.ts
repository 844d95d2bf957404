/**
 * In which runtime a command runs. Seen to fail with: a command without a GPU that is refused where there is none, one that trains on the
 * processor likewise, adapters that are looked for in vain.
 */
import { expect, it, vi } from 'vitest';
import { chooseWay, type Way } from '../../src/cli/way.mjs';

const on = (ways: readonly Way[], hasDeno = true) => {
  const find = vi.fn(async () => ways);
  return { machine: { hasDeno, find }, find };
};
const NODE: Way = { runtime: 'node', driver: '/swiftshader.json' };
const DENO: Way = { runtime: 'deno' };

it('trains on the processor where there is no adapter, and says what is missing where that cannot be', async () => {
  const { machine } = on([]);
  for (const name of ['finetune', 'compare', 'pretrain', 'reproduce', 'record'])
    expect(await chooseWay('auto', [name, '--steps', '3'], machine)).toEqual({ runtime: 'node' });
  for (const rest of [['merge'], ['check'], ['generate'], ['finetune', '--engine', 'webgpu']])
    expect(await chooseWay('auto', rest, machine)).toEqual({
      refusal: expect.stringMatching(/^No WebGPU adapter: install .*Mesa/),
    });
  expect(await chooseWay('deno', ['finetune'], machine)).toHaveProperty('refusal');
});

it('looks for no adapter for a command that computes nothing on one', async () => {
  const { machine, find } = on([DENO]);
  for (const rest of [
    [],
    ['help', 'finetune'],
    ['merge', '--help'],
    ...['adapters', 'combine', 'embed', 'python'].map((name) => [name, '--json']),
    ['generate', '--engine', 'onnxruntime'],
    ['finetune', '--engine=onnxruntime'],
  ])
    expect(await chooseWay('auto', rest, machine)).toEqual({ runtime: 'node' });
  expect(await chooseWay('deno', ['adapters'], machine)).toEqual({ runtime: 'deno' });
  expect(find).not.toHaveBeenCalled();
});

it('takes the best adapter, or the one of the runtime that is named', async () => {
  const { machine } = on([DENO, NODE]);
  expect(await chooseWay('auto', ['merge'], machine)).toBe(DENO);
  expect(await chooseWay('node', ['merge'], machine)).toBe(NODE);
  expect(await chooseWay('node', ['merge'], on([DENO]).machine)).toEqual({
    refusal: expect.stringMatching(/^node finds no WebGPU adapter here, but deno does: .*chromium/),
  });
  expect(await chooseWay('deno', ['merge'], on([NODE], false).machine)).toEqual({
    refusal: expect.stringMatching(/deno package has no binary/),
  });
});
