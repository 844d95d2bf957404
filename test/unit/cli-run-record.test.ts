/**
 * run.json as `papilio python` reads it: what finetune writes is read, anything else ends in one sentence that names file and field.
 * Seen to fail with: JSON that is taken as it comes.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pythonCommand, readRunRecord } from '../../src/cli/python.ts';
import { trainingSchema } from '../../src/training/settings.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'papilio-record-'));
});
afterEach(() => rm(folder, { recursive: true }));

const record = {
  model: 'embedded:glyphs',
  data: 'numbers.csv',
  dataOptions: { header: false, delimiter: ';', mapping: { text: 2, label: 'stars' }, task: 'regression' },
  method: 'boft',
  config: { boft_block_size: 4 },
  training: trainingSchema.parse({ seed: 5 }),
  steps: 40,
  evaluations: [
    { step: 0, metric: 'rmse', value: 2, others: { r2: -1 }, loss: 4, examples: 9 },
    { step: 40, metric: 'rmse', value: null, others: {}, loss: null, examples: 9 },
  ],
  loss: { curve: [1, 2] },
};
const put = (text: string) => writeFile(join(folder, 'run.json'), text);

describe('run.json', () => {
  it('is read as finetune wrote it', async () => {
    await put(JSON.stringify(record));
    const { loss: _, ...rest } = record;
    const [first, last] = record.evaluations;
    expect(await readRunRecord(folder)).toEqual({
      ...rest,
      evaluations: [first, { ...last, value: Number.NaN, loss: Number.NaN }],
    });
    // Older versions did not note how the data was read.
    const { dataOptions: __, ...older } = record;
    await put(JSON.stringify(older));
    expect((await readRunRecord(folder)).dataOptions).toEqual({});
  });

  it.each<[string, unknown, RegExp]>([
    ['no object', [record], /it must be an object with named fields/],
    ['null', null, /it must be an object with named fields/],
    ['an empty object', {}, /model/],
    ['a model that is an object', { ...record, model: { toString: 1 } }, /model/],
    ['data that is a list', { ...record, data: ['a'] }, /data/],
    ['a method that is a number', { ...record, method: 7 }, /method/],
    ['a configuration that is a text', { ...record, config: 'r = 8' }, /config/],
    ['no training', { ...record, training: null }, /training/],
    ['another optimiser', { ...record, training: { optimizer: 'lion' } }, /training\.optimizer/],
    ['half a step', { ...record, steps: 0.5 }, /steps/],
    ['evaluations by step', { ...record, evaluations: { 40: 1 } }, /evaluations/],
    ['an evaluation of null', { ...record, evaluations: [null] }, /evaluations\.0/],
    ['a score in words', { ...record, evaluations: [{ ...record.evaluations[0], value: 'good' }] }, /value/],
    ['columns of no role', { ...record, dataOptions: { mapping: { colour: 1 } } }, /colour/],
    ['columns that are objects', { ...record, dataOptions: { mapping: { text: {} } } }, /"text"/],
    ['a task that is none', { ...record, dataOptions: { task: 'constructor' } }, /constructor/],
    ['a way of reading that is none', { ...record, dataOptions: { encoding: 'x' } }, /dataOptions/],
  ])('is refused with %s', async (_what, json, says) => {
    await put(JSON.stringify(json));
    await expect(pythonCommand(['--run', folder, '--out', join(folder, 'out')])).rejects.toMatchObject({
      kind: 'malformed-file',
      message: expect.stringMatching(/run\.json is not what finetune writes \(.+\); give a folder/),
    });
    await expect(readRunRecord(folder)).rejects.toThrow(says);
  });

  it('is refused when it is cut off or missing', async () => {
    await expect(readRunRecord(folder)).rejects.toMatchObject({ kind: 'not-found' });
    await put(JSON.stringify(record).slice(0, -20));
    await expect(readRunRecord(folder)).rejects.toMatchObject({ kind: 'malformed-file' });
    await put(`${'['.repeat(100_000)}`);
    await expect(readRunRecord(folder)).rejects.toMatchObject({ kind: 'malformed-file' });
  });
});
