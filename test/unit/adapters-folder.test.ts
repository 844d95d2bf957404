/** Adapter folders and zips: several adapters, subfolders, narrow floats and unknown keys kept. */
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { filesFromZip, folderOf, readFolder, zipOf } from '../../src/adapters/folder.ts';
import { readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import { readSafetensors, writeSafetensors } from '../../src/adapters/safetensors.ts';
import { isZip } from '../../src/lib/zip.ts';
import { folder } from './adapters-fixtures.ts';

const CONFIG = 'adapter_config.json';
const TENSORS = 'adapter_model.safetensors';
const text = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
/** A fixture's files below a folder. */
function files(name: string, below = ''): [string, Uint8Array][] {
  const { config, tensors } = folder(name);
  return [
    [below + CONFIG, text(config)],
    [below + TENSORS, tensors],
  ];
}

const NO_NAMES = [
  ...['', '.', '..', 'a/..', 'a//b', '/a', 'a/', 'a\\b', '..\\..\\evil', 'C:', 'c:\\x', 'a:stream', 'a/b:c'],
  ...[
    'a\u0000b',
    'a\nb',
    'a\u001b[2Jb',
    'a\u202eb',
    'a\u009bb',
    'con',
    'NUL',
    'aux.txt',
    'x/Com1',
    'lpt9.a.b',
  ],
  ...['a.', 'a ', ' a', 'a*', 'a?', 'a"b', '<a>', 'a|b', 'n'.repeat(201), 'adapter_config.json', 'x/\t'],
];

describe('names of adapters', () => {
  it.each(NO_NAMES)('%j goes neither into a folder nor out of one', (name) => {
    const lora = readFolder(new Map(files('lora'))).get('default')!;
    expect(() => folderOf(new Map([[name, lora]]))).toThrow(/cannot be the name of an adapter/);
    // Beside another adapter, so that the folder counts as a name.
    const all = new Map([...files('lora', 'good/'), ...files('lora', `${name}/`)]);
    if (name !== '' && !name.startsWith('/') && !name.endsWith('/'))
      expect(() => readFolder(all)).toThrow(/cannot be the name of an adapter/);
  });

  it('that differ in capitals alone do not go into one folder; others do', () => {
    const lora = readFolder(new Map(files('lora'))).get('default')!;
    expect(() =>
      folderOf(
        new Map([
          ['A', lora],
          ['a', lora],
        ]),
      ),
    ).toThrow(/would share a folder/);
    const names = [
      'default',
      'checkpoint-500',
      'v1.2',
      'far/near',
      'Äpfel',
      '猫',
      'console',
      'a b',
      '_x',
      '.hidden',
    ];
    expect([...readFolder(folderOf(new Map(names.map((name) => [name, lora])))).keys()].sort()).toEqual(
      [...names].sort(),
    );
  });
});

describe('several adapters', () => {
  it('are "default" in the folder itself and named subfolders, in and out', () => {
    const all = new Map([...files('lora'), ...files('lora_dora', 'dora/'), ...files('oft', 'turned/far/')]);
    const read = readFolder(all);
    expect([...read].map(([name, { method }]) => [name, method.id])).toEqual([
      ['default', 'lora'],
      ['dora', 'lora'],
      ['turned/far', 'oft'],
    ]);
    const written = folderOf(read);
    expect([...written.keys()].sort()).toEqual([...all.keys()].sort());
    for (const [path, bytes] of all) {
      if (path.endsWith('.json'))
        expect(JSON.parse(new TextDecoder().decode(written.get(path)))).toEqual(
          JSON.parse(new TextDecoder().decode(bytes)),
        );
      else expect(readSafetensors(written.get(path)!)).toEqual(readSafetensors(bytes));
    }
    expect([
      ...readFolder(new Map([...files('lora', 'x/my/'), ...files('oft', 'x/my/style/')])).keys(),
    ]).toEqual(['default', 'style']);
    expect([...readFolder(new Map(files('lora', 'mine/'))).keys()]).toEqual(['mine']);
    expect([...readFolder(new Map([...files('lora', 'x/a/'), ...files('oft', 'x/b/')])).keys()]).toEqual([
      'a',
      'b',
    ]);
  });

  it('go through a zip, the same bytes each time; other files stay packed', () => {
    const read = readFolder(new Map([...files('lora'), ...files('oft', 'second/')]));
    const zip = zipOf(folderOf(read));
    expect(isZip(zip)).toBe(true);
    expect(zipOf(folderOf(read))).toEqual(zip);
    expect(readFolder(filesFromZip(zip))).toEqual(read);
    const more = zipSync({
      'README.md': text('# Hello'),
      '__MACOSX/adapter_config.json': text('{}'),
      a: new Uint8Array(),
    });
    expect(filesFromZip(more).size).toBe(0);
  });

  it('are named where one is wrong, and may not leave their folder', () => {
    const broken = new Map([
      ...files('lora'),
      ...files('oft', 'second/'),
      ['second/adapter_config.json', text('[')] as const,
    ]);
    expect(() => readFolder(broken)).toThrow(/^Adapter second: adapter_config\.json is not JSON/);
    const [lora] = readFolder(new Map(files('lora'))).values();
    for (const name of ['', '../x', 'a//b', '.'])
      expect(() => folderOf(new Map([[name, lora!]]))).toThrow(/cannot be the name of an adapter/);
  });
});

describe('an adapter saved unchanged', () => {
  const { config, tensors: bytes } = folder('lora');
  const named = new Map(
    [...readAdapter(config, bytes).tensors].flatMap(([module, params]) =>
      [...params].map(([param, tensor], i) => {
        const dtype = (['F16', 'BF16'] as const)[i % 2]!;
        return [`base_model.model.${module}.${param}`, { ...tensor, dtype }] as const;
      }),
    ),
  );

  it('keeps narrow floats bit by bit; new numbers are F32', () => {
    const narrow = writeSafetensors(named);
    const read = readAdapter(config, narrow);
    expect(writeAdapter(read)[TENSORS]).toEqual(narrow);
    const trained = new Map(
      [...read.tensors].map(([module, params]) => [
        module,
        new Map(
          [...params].map(([param, { shape, data }]) => [param, { shape, data: data.map((v) => v + 1) }]),
        ),
      ]),
    );
    const after = readSafetensors(writeAdapter({ ...read, tensors: trained })[TENSORS]).tensors;
    expect([...after.values()].every(({ dtype }) => dtype === 'F32')).toBe(true);
    // Widening is exact, so only the first reading rounds.
    const wide = readAdapter(config, bytes).tensors.get('fc1')!.get('lora_A.weight')!.data;
    const half = read.tensors.get('fc1')!.get('lora_A.weight')!.data;
    half.forEach((value, i) => {
      expect(Math.abs(value - wide[i]!)).toBeLessThanOrEqual(Math.abs(wide[i]!) * 2 ** -11);
    });
  });

  it('keeps its version and keys that Papilio does not know; a new one gets Papilio’s', () => {
    const given = {
      ...JSON.parse(config),
      peft_version: '0.99.0',
      new_in_peft: { a: 1 },
      runtime_config: null,
    };
    const read = readAdapter(JSON.stringify(given), bytes);
    expect(read.warnings).toEqual([expect.stringMatching(/no setting "new_in_peft"; it is ignored/)]);
    expect(JSON.parse(writeAdapter(read)[CONFIG])).toEqual(given);
    const { method, config: own, tensors: params, parameters } = read;
    const fresh = JSON.parse(writeAdapter({ method, config: own, tensors: params, parameters })[CONFIG]);
    expect(fresh).toMatchObject({ peft_version: '0.18.0' });
    expect(fresh).not.toHaveProperty('new_in_peft');
  });
});
