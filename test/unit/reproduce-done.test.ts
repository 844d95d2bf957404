/**
 * What `reproduce --resume` takes for done: a folder with all that a figure is made of, whose run.json can be read; and what it leaves out. Seen to fail with: a
 * merged file that is not asked for; a run.json that is read as it comes; a damaged checkpoint that ends the command.
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isDone } from '../../tools/reproduce/done.ts';
import { trials } from '../../tools/reproduce/trials.ts';
import { reproduceCommand } from '../../tools/reproduce.ts';

let folder = '';
const trial = trials().find(({ name }) => name === 'head-letters')!;
const put = (name: string, text: string) => writeFile(join(folder, name), text);
const recorded = (more: object = {}) =>
  JSON.stringify({ status: 'done', training: trial.training, device: { engine: 'onnxruntime' }, ...more });
const record = (more: object = {}) => put('run.json', recorded(more));
const asked = (engine = 'auto') => isDone(trial, folder, engine);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'papilio-done-'));
  await record();
  await put('checkpoint.safetensors', 'no checkpoint');
  await put('model.onnx', 'merged');
});
afterEach(() => rm(folder, { recursive: true }));

describe('a folder of reproduce --resume', () => {
  it('with all files of a run that ended is held against its checkpoint', async () => {
    await expect(asked()).rejects.toThrow(/checkpoint/i);
  });

  it.each(['run.json', 'checkpoint.safetensors', 'model.onnx'])('without %s is not done', async (name) => {
    await rm(join(folder, name));
    expect(await asked()).toBe(false);
  });

  it.each([
    ['cut off', '{"status": "done", "trai'],
    ['empty', ''],
    ['null', 'null'],
    ['of something else', '{"a": 1}'],
  ])('whose run.json is %s is not done', async (_, text) => {
    await put('run.json', text);
    expect(await asked()).toBe(false);
  });

  it('of other settings, or of a run that did not end, is not done', async () => {
    await record({ training: { ...trial.training, steps: 7 } });
    expect(await asked()).toBe(false);
    await record({ status: 'stopped' });
    expect(await asked()).toBe(false);
  });

  it('of another engine is refused', async () => {
    await expect(asked('webgpu')).rejects.toThrow(/has a run by onnxruntime: give another --out for webgpu/);
  });
});

it('names each run whose checkpoint is damaged, done or not, with what to do, and goes on with the next', async () => {
  const said: string[] = [];
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  try {
    const names = ['ia3-letters', 'head-letters'];
    for (const name of names) {
      await mkdir(join(folder, name));
      await put(join(name, 'checkpoint.safetensors'), 'no checkpoint');
    }
    await put('head-letters/run.json', recorded());
    await put('head-letters/model.onnx', 'merged');
    const docs = join(folder, 'docs');
    const args = ['--resume', '--engine', 'onnxruntime', '--out', folder, '--docs', docs];
    expect(await reproduceCommand([...names, ...args])).toBe(1);
    const sentences = said
      .join('')
      .split('\n')
      .filter((line) => line.includes('is left out'));
    expect(sentences).toEqual(
      names.map((name) =>
        expect.stringMatching(
          new RegExp(
            `^${name} is left out, .* checkpoint .*: delete ${join(folder, name)} and give the same command again\\.$`,
          ),
        ),
      ),
    );
    expect(await readdir(folder)).not.toContain('docs');
  } finally {
    write.mockRestore();
  }
});
