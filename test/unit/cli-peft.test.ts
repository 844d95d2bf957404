/**
 * `verify peft` on PEFT's figures, by the float64 interpreter: every table, two adapters on one layer, folders in and out. Each check is also given a
 * wrong figure and must say so.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readSafetensors, writeSafetensors } from '../../src/adapters/safetensors.ts';
import { checkFixtures } from '../../tools/verify/peft/fixtures.ts';
import { checkMultiAdapter } from '../../tools/verify/peft/multi.ts';
import { type RowResult, TABLES } from '../../tools/verify/peft/tables.ts';
import { figures } from './adapters-fixtures.ts';
import { interpreted } from './adapters-interpreted.ts';

// biome-ignore lint/suspicious/noExplicitAny: figures are changed here in ways their types would not allow
type Figures = any;

async function collect(rows: Iterable<RowResult> | AsyncIterable<RowResult>): Promise<RowResult[]> {
  const found: RowResult[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

const failing = (rows: readonly RowResult[]) => rows.filter(({ reason }) => reason !== null);

/** What goes wrong in each table, and how many rows must notice. */
const WRONGS: Readonly<Record<string, readonly ((json: Figures) => void)[]>> = {
  'randperm.json': [
    (json) => json.entries[0].last4[0]++,
    (json) => (json.entries[0].full_sha256 = 'f'.repeat(64)),
    (json) => json.draws_mod_2_31['777'][0]++,
    (json) => json.negative_seed[0].perm.reverse(),
  ],
  'target_matching.json': [
    (json) => json.rows[0].matched.pop(),
    (json) => json.rows[0].excluded.push('classifier'),
  ],
  'all_linear.json': [(json) => json.rows[0].resolved_target_modules.pop()],
  'pattern_matching.json': [
    (json) => json.rows[0].lora_like_value_or_null++,
    (json) => (json.rows[0].fourierft_value_or_null = null),
  ],
  'oft_adjust.json': [(json) => json.rows[0][2]++],
  'boft_permutations.json': [(json) => json.entries[1].perm.reverse()],
  'lokr_factorization.json': [(json) => json.rows[0][2]++],
  'config_behaviour.json': [
    (json) => (json.rows.find((row: Figures) => row.stage === 'config').message = 'Because.'),
    (json) => (json.rows.find((row: Figures) => row.stage === 'config').stage = 'ok'),
    (json) =>
      Object.values<number[]>(json.rows.find((row: Figures) => row.stage === 'ok').shapes)[0]!.push(1),
    (json) => json.rows.find((row: Figures) => row.stage === 'ok').warnings.push('Mind the gap.'),
    (json) => (json.rows.find((row: Figures) => row.stage === 'ok').stage = 'inject'),
  ],
  'config_defaults.json': [
    (json) => (json.defaults.OFT.oft_block_size = 33),
    (json) => delete json.defaults.BOFT.bias,
  ],
};

const read = (name: string): Figures => {
  const json = figures<Figures>(name.replace('.json', ''));
  // Sixteen million entries take seconds; the command line goes through them.
  if (name === 'randperm.json') json.entries = json.entries.filter((entry: Figures) => entry.numel < 1e6);
  return json;
};

describe.each(Object.keys(TABLES))('%s', (name) => {
  it('holds, row by row', async () => {
    const rows = await collect(TABLES[name]!(read(name) as never));
    expect(failing(rows)).toEqual([]);
    expect(rows.length).toBeGreaterThan(3);
  });

  it.each(WRONGS[name]!.map((change, i) => [i, change] as const))(
    'notices wrong figure %i',
    async (_, change) => {
      const json = structuredClone(read(name));
      change(json);
      expect(failing(await collect(TABLES[name]!(json as never)))).toHaveLength(1);
    },
  );
});

describe('two adapters on one layer', () => {
  const all = () => figures<Figures>('multi_adapter');

  it('give PEFT’s outputs alone and in both orders, merge in order, and come out again', async () => {
    const rows = await collect(checkMultiAdapter(all(), interpreted));
    expect(failing(rows)).toEqual([]);
    expect(rows).toHaveLength(8 * all().cases.length);
  });

  it('differ between forward pass and merge for OFT alone, as in PEFT', () => {
    for (const c of all().cases) {
      const forward = c.expected.y_by_active_adapters['default+second'].data as number[];
      const W = c.expected.merged_weight_by_active_adapters['default+second'].data as number[];
      const bias = (c.expected.merged_bias_by_active_adapters['default+second'] ?? c.bias).data as number[];
      const [inputs, x] = [c.in_features as number, c.x.data as number[]];
      const apart = forward.map((y, i) => {
        const [row, out] = [Math.floor(i / c.out_features), i % c.out_features];
        let sum = bias[out]!;
        for (let k = 0; k < inputs; k++) sum += x[row * inputs + k]! * W[out * inputs + k]!;
        return Math.abs(y - sum);
      });
      if (c.method === 'OFT') expect(Math.max(...apart), c.name).toBeGreaterThan(0.1);
      else expect(Math.max(...apart), c.name).toBeLessThan(1e-4);
    }
  });

  it.each(['y_by_active_adapters', 'merged_weight_by_active_adapters'])(
    'notices a wrong %s',
    async (kind) => {
      const json = all();
      json.cases = json.cases.slice(0, 1);
      json.cases[0].expected[kind]['second+default'].data[3] += 0.01;
      const wrong = failing(await collect(checkMultiAdapter(json, interpreted)));
      expect(wrong).toEqual([expect.objectContaining({ reason: expect.stringMatching(/is off by/) })]);
    },
  );
});

describe('folders that PEFT saved', () => {
  const root = mkdtempSync(join(tmpdir(), 'papilio-'));
  const NAMES = ['boft_bias_only', 'ia3', 'lora', 'oft_modules_to_save'];
  for (const name of NAMES)
    cpSync(new URL(`../fixtures/peft/${name}`, import.meta.url), join(root, name), { recursive: true });
  afterAll(() => rmSync(root, { recursive: true }));

  const check = async () => failing(await collect(checkFixtures(root, interpreted)));
  const withFile = async (path: string, change: (bytes: Buffer) => Uint8Array | string) => {
    const file = join(root, path);
    const before = readFileSync(file);
    writeFileSync(file, change(before));
    const found = await check();
    writeFileSync(file, before);
    return found.map(({ row, reason }) => `${row}: ${reason}`);
  };

  it('give their outputs and are saved again without a difference', async () => {
    const rows = await collect(checkFixtures(root, interpreted));
    expect(rows).toEqual(NAMES.map((row) => ({ row, reason: null })));
  });

  it('are noticed where outputs, numbers, names or settings differ', async () => {
    const json = (change: (json: Figures) => void) => (bytes: Buffer) => {
      const parsed = JSON.parse(bytes.toString());
      change(parsed);
      return JSON.stringify(parsed);
    };
    expect(
      await withFile(
        'lora/io.json',
        json((io) => (io.y.data[0] += 0.01)),
      ),
    ).toEqual([expect.stringMatching(/^lora: y is off by/)]);
    expect(
      await withFile(
        'lora/io.json',
        json((io) => (io.y_base.data[0] += 0.01)),
      ),
    ).toEqual([expect.stringMatching(/^lora: y_base is off by/)]);
    expect(
      await withFile(
        'ia3/adapter_config.json',
        json((c) => (c.inference_mode = false)),
      ),
    ).toEqual(['ia3: saves inference_mode as true instead of false']);
    expect(
      await withFile(
        'ia3/adapter_config.json',
        json((c) => delete c.revision),
      ),
    ).toEqual(['ia3: saves revision as null instead of nothing']);
    const extra = (bytes: Buffer) => {
      const tensors = [...readSafetensors(bytes).tensors].map(([name, { shape, bytes: data }]) => {
        const floats = new Float32Array(new Uint8Array(data).buffer);
        return [name, { shape, data: floats }] as const;
      });
      return writeSafetensors(
        new Map([
          ...tensors,
          ['base_model.model.fc3.lora_A.weight', { shape: [1], data: Float32Array.of(1) }],
        ]),
      );
    };
    expect(await withFile('ia3/adapter_model.safetensors', extra)).toEqual([
      expect.stringMatching(/^ia3: saves the tensors/),
    ]);
    expect(await withFile('ia3/adapter_config.json', () => '{}')).toEqual([
      expect.stringMatching(/^ia3: adapter_config.json has no peft_type/),
    ]);
  });
});
