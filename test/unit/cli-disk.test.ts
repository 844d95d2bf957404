/** Writing on the command line: whole or not at all, and a place for results that is tried before anything else. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { disk, replaceFile } from '../../src/cli/disk.ts';
import { openOut, openOutFile, RUN_FILES, requireRoom, withOut } from '../../src/cli/outFolder.ts';
import { listFiles, readBytes, writeBytes, writeChunks, writeInto } from '../../src/cli/runtime.ts';

let folder = '';
const own = { ...disk };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'papilio-disk-'));
});
afterEach(async () => {
  Object.assign(disk, own);
  await rm(folder, { recursive: true, force: true });
});

const refusal = (code: string) => Object.assign(new Error(code), { code });
/** A disk that takes so many bytes more. */
function fillAfter(bytes: number, code = 'ENOSPC'): void {
  let left = bytes;
  disk.write = async (file, data, position) => {
    if (left === 0) throw refusal(code);
    const taken = Math.min(left, data.length);
    left -= taken;
    return own.write(file, data.subarray(0, taken), position);
  };
}

describe('a file', () => {
  it('is the older one until the newer is whole, wherever the disk is full', async () => {
    const path = join(folder, 'runs', 'model.onnx');
    await writeBytes(path, 'the older model');
    for (const code of ['ENOSPC', 'EDQUOT'])
      for (const room of [0, 1, 7, 999]) {
        fillAfter(room, code);
        await expect(writeChunks(path, [new Uint8Array(500), new Uint8Array(500)])).rejects.toMatchObject({
          kind: 'quota',
          message: expect.stringMatching(/^The disk is full: .*model\.onnx could not be written to its end/),
        });
        expect(readFileSync(path, 'utf8')).toBe('the older model');
        expect(readdirSync(join(folder, 'runs'))).toEqual(['model.onnx']);
      }
    fillAfter(1000);
    await writeChunks(path, [new Uint8Array(500), new Uint8Array(500)]);
    expect(statSync(path).size).toBe(1000);
  });

  it('is written in full by a disk that takes a little at a time', async () => {
    disk.write = (file, data, position) => own.write(file, data.subarray(0, 3), position);
    await writeBytes(join(folder, 'a.txt'), 'piece by piece');
    expect(readFileSync(join(folder, 'a.txt'), 'utf8')).toBe('piece by piece');
  });

  it('is flushed before it gets its name', async () => {
    const order: string[] = [];
    disk.sync = async (file) => {
      order.push((await file.stat()).isDirectory() ? 'sync folder' : 'sync');
    };
    disk.rename = async (from, to) => {
      order.push('rename');
      await own.rename(from, to);
    };
    await writeBytes(join(folder, 'b.txt'), 'b');
    expect(order).toEqual(['sync', 'rename', 'sync folder']);
  });

  it('leaves nothing behind when flushing, renaming or its own source fails', async () => {
    const path = join(folder, 'c.bin');
    await writeBytes(path, 'older');
    disk.sync = () => Promise.reject(refusal('EIO'));
    await expect(writeBytes(path, 'new')).rejects.toMatchObject({ kind: 'bad-argument' });
    disk.sync = own.sync;
    disk.rename = () => Promise.reject(refusal('EXDEV'));
    await expect(writeBytes(path, 'new')).rejects.toMatchObject({ kind: 'bad-argument' });
    disk.rename = own.rename;
    async function* broken() {
      yield new Uint8Array(5);
      throw refusal('EIO');
    }
    await expect(replaceFile(path, broken())).rejects.toMatchObject({ kind: 'bad-argument' });
    expect(readdirSync(folder)).toEqual(['c.bin']);
    expect(readFileSync(path, 'utf8')).toBe('older');
  });

  it('below a file, over a folder, with a name too long, through a loop: a sentence', async () => {
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'sub', 'x'), { recursive: true });
    symlinkSync('loop', join(folder, 'loop'));
    for (const [path, reason] of [
      [join(folder, 'file', 'a.json'), /a part of the path is a file, not a folder/],
      [join(folder, 'file', 'b', 'c', 'a.json'), /a part of the path is a file/],
      [join(folder, 'sub'), /it is a folder/],
      [join(folder, 'n'.repeat(300)), /the name is too long/],
      [join(folder, 'loop', 'a'), /links lead back/],
      ['/proc/none/a', /cannot be written/],
      ['/proc/none/other/a', /cannot be written/],
    ] as const)
      await expect(writeBytes(path, 'x'), path).rejects.toMatchObject({
        kind: 'bad-argument',
        message: expect.stringMatching(reason),
      });
  });

  it('keeps a link a link where the name was given, and writes to what is no file as it is', async () => {
    writeFileSync(join(folder, 'real'), 'older');
    symlinkSync('real', join(folder, 'link'));
    await writeBytes(join(folder, 'link'), 'newer');
    expect(readFileSync(join(folder, 'real'), 'utf8')).toBe('newer');
    expect(readdirSync(folder)).toEqual(['link', 'real']);
    await writeBytes('/dev/null', 'x');
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

describe('names of the program’s own in a folder', () => {
  it('are replaced where links, pipes or files lie, and nothing behind a link is written', async () => {
    const outside = join(folder, 'outside');
    const out = join(folder, 'out');
    mkdirSync(join(out, 'sub'), { recursive: true });
    mkdirSync(join(folder, 'elsewhere'));
    writeFileSync(outside, 'precious');
    symlinkSync(outside, join(out, 'run.json'));
    symlinkSync(join(folder, 'nowhere'), join(out, 'metrics.csv'));
    spawnSync('mkfifo', [join(out, 'pipe.onnx')]);
    symlinkSync('../../elsewhere', join(out, 'sub', 'leads'));
    symlinkSync('sub', join(out, 'inner'));
    for (const name of ['run.json', 'metrics.csv', 'pipe.onnx', 'sub/new/a.json', 'inner/b.json']) {
      await writeInto(out, name, `${name} newer`);
      expect(lstatSync(join(out, name)).isFile(), name).toBe(true);
      expect(readFileSync(join(out, name), 'utf8')).toBe(`${name} newer`);
    }
    for (const name of ['sub/leads/c.json', '../d.json', 'sub/../../e.json'])
      await expect(writeInto(out, name, 'x'), name).rejects.toMatchObject({
        kind: 'bad-argument',
        message: expect.stringMatching(/leads out of/),
      });
    expect(readFileSync(outside, 'utf8')).toBe('precious');
    expect(readdirSync(join(folder, 'elsewhere'))).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(['elsewhere', 'out', 'outside']);
  });

  it('are not written over unasked where somebody has files of these names', async () => {
    const out = join(folder, 'out');
    mkdirSync(out);
    for (const name of ['config.json', 'tokenizer.json', 'metrics.csv']) {
      writeFileSync(join(out, name), 'mine');
      await expect(openOut(out, { overwrite: false }), name).rejects.toMatchObject({
        kind: 'bad-argument',
        message: expect.stringContaining(`holds`),
        details: { older: [name] },
      });
      await (await openOut(out, { overwrite: true })).close();
      expect(readFileSync(join(out, name), 'utf8')).toBe('mine');
      await rm(join(out, name));
    }
  });

  it('that are folders are found when the place is opened', async () => {
    mkdirSync(join(folder, 'out', 'model.onnx'), { recursive: true });
    for (const overwrite of [true, false])
      await expect(openOut(join(folder, 'out'), { overwrite })).rejects.toMatchObject({
        kind: 'bad-argument',
        message: expect.stringMatching(/model\.onnx/),
      });
    expect(readdirSync(join(folder, 'out'))).toEqual(['model.onnx']);
  });
});

describe('what is no file', () => {
  it('is not read: a pipe may say nothing, a device may never end', async () => {
    spawnSync('mkfifo', [join(folder, 'pipe')]);
    symlinkSync('/dev/zero', join(folder, 'zeros'));
    for (const name of ['pipe', 'zeros'])
      await expect(readBytes(join(folder, name)), name).rejects.toMatchObject({
        kind: 'not-found',
        message: expect.stringMatching(/is no file but a/),
      });
  });
});

describe('a folder for results', () => {
  const how = { overwrite: false };

  it('is made, and goes again when nothing came of it', async () => {
    const out = join(folder, 'a', 'b');
    const place = await openOut(out, how);
    expect(readdirSync(out)).toEqual(['papilio.lock']);
    await place.close();
    expect(readdirSync(folder)).toEqual([]);
    const second = await openOut(out, how);
    await writeBytes(join(out, 'run.json'), '{}');
    await second.close();
    expect(readdirSync(out)).toEqual(['run.json']);
  });

  it('is refused below a file, on a full disk, where nothing can be renamed or removed', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(openOut(join(folder, 'file', 'run'), how)).rejects.toMatchObject({ kind: 'bad-argument' });
    await expect(openOut(join(folder, 'file'), how)).rejects.toMatchObject({ kind: 'bad-argument' });
    fillAfter(3);
    await expect(openOut(join(folder, 'x'), how)).rejects.toMatchObject({ kind: 'quota' });
    Object.assign(disk, own);
    disk.rename = () => Promise.reject(refusal('EACCES'));
    await expect(openOut(join(folder, 'x'), how)).rejects.toThrow(/permission denied/);
    await expect(openOut('/proc/none/run', how)).rejects.toMatchObject({ kind: 'bad-argument' });
    // Half of the way can be made.
    const long = join(folder, 'a', 'b', 'n'.repeat(300));
    await expect(openOut(long, how)).rejects.toThrow(/the name is too long/);
    expect(readdirSync(folder)).toEqual(['file']);
  });

  it('says what it holds of an older run, and lets that run go on', async () => {
    for (const name of RUN_FILES) {
      const out = join(folder, name);
      mkdirSync(out);
      writeFileSync(join(out, name), 'older');
      await expect(openOut(out, how)).rejects.toMatchObject({
        kind: 'bad-argument',
        message: expect.stringContaining(
          `holds an older result (${name}); give another place, or --overwrite`,
        ),
      });
      expect(readdirSync(out)).toEqual([name]);
      await (await openOut(out, { overwrite: true })).close();
      await (await openOut(out, { overwrite: false, resume: join(out, 'checkpoint.safetensors') })).close();
      const elsewhere = join(folder, 'other', 'checkpoint.safetensors');
      await expect(openOut(out, { overwrite: false, resume: elsewhere })).rejects.toThrow(/older result/);
    }
    // The same run again: one that ended before it kept anything left records alone.
    const ended = join(folder, 'ended');
    mkdirSync(ended);
    for (const record of ['{"status": "done"}', '{"stepsWa', 'null']) {
      for (const name of ['run.json', 'metrics.csv']) writeFileSync(join(ended, name), record);
      await expect(openOut(ended, { overwrite: false, isAgain: true })).rejects.toThrow(
        /older result \(run\.json, metrics\.csv\)/,
      );
    }
    writeFileSync(join(ended, 'run.json'), '{"steps": 0, "stepsWanted": 40}');
    await (await openOut(ended, { overwrite: false, isAgain: true })).close();
    writeFileSync(join(ended, 'adapter_model.safetensors'), 'trained');
    await expect(openOut(ended, { overwrite: false, isAgain: true })).rejects.toThrow(
      /older result \(adapter_model\.safetensors\)/,
    );
    const file = join(folder, 'merged.onnx');
    writeFileSync(file, 'older');
    await expect(openOutFile(file, how)).rejects.toThrow(/older result \(merged.onnx\)/);
    await (await openOutFile(file, { overwrite: true })).close();
    await expect(openOutFile(folder, how)).rejects.toThrow(/is a folder; give the name of a file/);
    await (await openOutFile('/dev/null', how)).close();
  });

  it('belongs to one run; a lock whose process is gone is taken over', async () => {
    const first = await openOut(folder, how);
    await expect(openOut(folder, { overwrite: true })).rejects.toThrow(
      new RegExp(`Another run \\(process ${process.pid}\\) is writing into`),
    );
    const { born } = JSON.parse(readFileSync(join(folder, 'papilio.lock'), 'utf8')) as { born: string };
    await first.close();
    const gone = spawnSync('true').pid;
    const stale = [
      JSON.stringify({ pid: gone, born }),
      // The same number, given again to another process.
      JSON.stringify({ pid: process.pid, born: `${born}0` }),
    ];
    for (const words of stale) {
      writeFileSync(join(folder, 'papilio.lock'), words);
      const [one, two] = await Promise.allSettled([openOut(folder, how), openOut(folder, how)]);
      expect([one.status, two.status].sort()).toEqual(['fulfilled', 'rejected']);
      for (const place of [one, two]) if (place.status === 'fulfilled') await place.value.close();
      expect(readdirSync(folder)).toEqual([]);
    }
    // Cut off by a kill while it was written: held for a moment, then not.
    writeFileSync(join(folder, 'papilio.lock'), '{"pi');
    await expect(openOut(folder, how)).rejects.toThrow(/Another run is writing/);
  });

  it('is cleared of what a killed writer left, and keeps what is like it', async () => {
    writeFileSync(join(folder, 'model.onnx.4711-3.new'), 'cut');
    writeFileSync(join(folder, 'notes.new'), 'mine');
    await (await openOut(folder, how)).close();
    expect(readdirSync(folder)).toEqual(['notes.new']);
  });

  it('is held against the room that is left, with both numbers', async () => {
    disk.room = async () => 3 * 2 ** 20;
    const need = (bytes: number) => ({ folder, bytes });
    await requireRoom([need(3 * 2 ** 20)], 'The run');
    // Two folders of one disk share its room.
    for (const needs of [[need(5 * 2 ** 20)], [need(2.5 * 2 ** 20), need(2.5 * 2 ** 20)]])
      await expect(requireRoom(needs, 'The run')).rejects.toMatchObject({
        kind: 'quota',
        message: expect.stringMatching(/The run will take 5\.0 MB in .*, and 3\.0 MB are free there/),
      });
    disk.room = async () => null;
    await requireRoom([need(1e15)], 'The run');
  });

  it('is closed whatever happens, and one place is opened once', async () => {
    const out = join(folder, 'run');
    const wanted = [
      { path: out, ...how },
      { path: `${folder}/./run/`, ...how },
      { path: join(folder, 'sub', 'a.zip'), isFile: true, ...how },
    ];
    await expect(
      withOut(wanted, async (places) => {
        expect(places.map((place) => place.folder)).toEqual([out, out, join(folder, 'sub')]);
        throw new Error('broken');
      }),
    ).rejects.toThrow('broken');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('files below a folder', () => {
  it('come to an end where links lead back', async () => {
    mkdirSync(join(folder, 'a', 'b'), { recursive: true });
    writeFileSync(join(folder, 'a', 'b', 'adapter_config.json'), '{}');
    for (const name of ['l1', 'l2', 'l3']) symlinkSync('..', join(folder, 'a', 'b', name));
    for (const name of ['m1', 'm2']) symlinkSync('.', join(folder, 'a', name));
    symlinkSync('a', join(folder, 'same'));
    linkSync(join(folder, 'a', 'b', 'adapter_config.json'), join(folder, 'hard.json'));
    expect(await listFiles(folder)).toEqual([
      'a/b/adapter_config.json',
      'hard.json',
      'same/b/adapter_config.json',
    ]);
    expect(existsSync(join(folder, 'a', 'm1', 'm2', 'b'))).toBe(true);
  });

  it('are no more than anybody has', async () => {
    // Each level leads to the next by eight names: 8^12 paths to one file.
    let at = folder;
    for (let level = 0; level < 12; level++) {
      const next = join(folder, `level${level}`);
      mkdirSync(next);
      if (level > 0) for (let i = 0; i < 8; i++) symlinkSync(next, join(at, `l${i}`));
      at = next;
    }
    writeFileSync(join(at, 'file'), '');
    await expect(listFiles(join(folder, 'level0'))).rejects.toMatchObject({ kind: 'too-large' });
  });
});
