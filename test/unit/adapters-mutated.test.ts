/**
 * 10,000 damaged adapter files, the same ones every time: bytes flipped, cut and inserted, headers and configurations rewritten as JSON. Each
 * is read and held against its model, or refused by a sentence; nothing else may happen, and no more memory is asked for than the file has
 * (twice for narrow floats, which are widened).
 * Seen to fail: a header that is no JSON let through; memory taken for a shape before its bytes are counted; a zip's claims believed; the unpacker's own
 * errors let through.
 */
import { zipSync } from 'fflate';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fitAdapter } from '../../src/adapters/fit.ts';
import { filesFromZip, folderOf, readFolder, zipOf } from '../../src/adapters/folder.ts';
import { readAdapter, writeAdapter } from '../../src/adapters/peft.ts';
import { writeSafetensors } from '../../src/adapters/safetensors.ts';
import { PapilioError } from '../../src/lib/errors.ts';
import { type Rng, rng } from '../../src/lib/rng.ts';
import { folder, layer } from './adapters-fixtures.ts';

const model = { layers: [layer('fc1', 12, 16), layer('fc2', 16, 6)], pretrained: false };
const NAMES = [
  'boft_bias_only',
  'boft_f2',
  'fourierft',
  'ia3',
  'loha',
  'lokr',
  'lora',
  'lora_dora',
  'oft_bias_all',
  'oft_modules_to_save',
];
const ORIGINALS = [...NAMES.map(folder), narrow()];

/** The same adapter in 16-bit floats. */
function narrow() {
  const { config, tensors } = folder('lora');
  const { tensors: read } = readAdapter(config, tensors);
  const named = [...read].flatMap(([module, params]) =>
    [...params].map(
      ([param, tensor], i) =>
        [`base_model.model.${module}.${param}`, { ...tensor, dtype: i % 2 ? 'F16' : 'BF16' }] as const,
    ),
  );
  return { config, tensors: writeSafetensors(new Map(named)) };
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const ODD: readonly Json[] = [
  null,
  true,
  -1,
  0,
  0.5,
  3,
  1e9,
  2 ** 53,
  1e308,
  '',
  '(',
  '.*',
  'fc1',
  'F16',
  'I64',
  [],
  [[]],
  ['fc1', 'fc1'],
  [0, 4],
  [2 ** 40, 2 ** 40],
  {},
  { a: 1 },
];

/** The value with one place in it changed, taken out, doubled, or moved under another name. */
function mutateJson(value: Json, random: Rng): Json {
  const isNested = typeof value === 'object' && value !== null;
  if (!isNested || random.chance(0.08)) return structuredClone(random.pick(ODD));
  if (Array.isArray(value)) {
    if (value.length === 0) return [structuredClone(random.pick(ODD))];
    const at = random.int(value.length);
    const what = random.int(4);
    if (what === 0) return value.toSpliced(at, 1);
    if (what === 1) return value.toSpliced(at, 0, structuredClone(random.pick(ODD)));
    if (what === 2 && typeof value[at] === 'number') return value.with(at, value[at] + random.int(9) - 4);
    return value.with(at, mutateJson(value[at]!, random));
  }
  const keys = Object.keys(value);
  if (keys.length === 0) return { extra: structuredClone(random.pick(ODD)) };
  const key = random.pick(keys);
  const { [key]: chosen, ...rest } = value;
  switch (random.int(5)) {
    case 0:
      return rest;
    case 1:
      return { ...rest, [`${key}${random.int(3)}`]: chosen! };
    case 2:
      return {
        ...value,
        [random.pick(['__proto__', 'constructor', 'lora_unet_x.lora_down.weight', ''])]: chosen!,
      };
    default:
      return { ...value, [key]: mutateJson(chosen!, random) };
  }
}

function mutateBytes(bytes: Uint8Array, random: Rng): Uint8Array {
  const at = random.chance(0.7) ? random.int(Math.min(bytes.length, 500)) : random.int(bytes.length);
  const length = random.int(16) + 1;
  switch (random.int(4)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + length)]);
    case 2:
      return Uint8Array.from([
        ...bytes.subarray(0, at),
        ...Array.from({ length }, () => random.int(256)),
        ...bytes.subarray(at),
      ]);
    default:
      return bytes.with(at, random.int(256));
  }
}

/** A container whose header is changed as JSON, its length kept right. */
function mutateHeader(bytes: Uint8Array, random: Rng): Uint8Array {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Json;
  const text = new TextEncoder().encode(JSON.stringify(mutateJson(header, random)));
  const out = new Uint8Array(8 + text.length + bytes.length - 8 - length);
  new DataView(out.buffer).setUint32(0, text.length, true);
  out.set(text, 8);
  out.set(bytes.subarray(8 + length), 8 + text.length);
  return out;
}

/** Counts the elements that typed arrays and buffers are made with, in bytes. */
function countAllocations(): () => number {
  let bytes = 0;
  for (const name of [
    'ArrayBuffer',
    'Float32Array',
    'Float64Array',
    'Uint8Array',
    'Uint16Array',
    'Uint32Array',
  ] as const) {
    const Original = globalThis[name] as unknown as new (...args: unknown[]) => object;
    const size = (Original as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    vi.stubGlobal(
      name,
      new Proxy(Original, {
        construct(target, args: unknown[], self) {
          if (typeof args[0] === 'number') bytes += args[0] * size;
          return Reflect.construct(target, args, self) as object;
        },
      }),
    );
  }
  return () => bytes;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('damaged adapter files', () => {
  it('10,000 of them are read or refused, within their own size', () => {
    const random = rng(2024);
    const files = Array.from({ length: 10_000 }, (_, round) => {
      let { config, tensors } = ORIGINALS[round % ORIGINALS.length]!;
      for (let change = random.int(3); change >= 0; change--) {
        switch (random.int(5)) {
          case 0:
            config = JSON.stringify(mutateJson(JSON.parse(config) as Json, random));
            break;
          case 1:
          case 2:
            if (change === 0) tensors = mutateBytes(tensors, random);
            break;
          case 3:
            if (tensors[8] === 0x7b && change > 0) tensors = mutateHeader(tensors, random);
            break;
          default: {
            if (change > 0) break;
            const at = random.int(config.length);
            config =
              config.slice(0, at) + String.fromCharCode(random.int(128)) + config.slice(at + random.int(4));
          }
        }
      }
      return { config, tensors };
    });

    const allocated = countAllocations();
    const kinds = new Map<string, number>();
    let most = 0;
    for (const { config, tensors } of files) {
      const before = allocated();
      let kind = 'read';
      try {
        fitAdapter(readAdapter(config, tensors), model);
      } catch (error) {
        if (!(error instanceof PapilioError)) throw error;
        expect(error.message).toMatch(/^[^\n]{10,}/);
        kind = error.kind;
      }
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      most = Math.max(most, (allocated() - before) / (tensors.length + config.length));
    }
    vi.unstubAllGlobals();
    expect(most).toBeLessThanOrEqual(2);
    // Every way out is taken, and not only the first.
    for (const kind of ['read', 'malformed-adapter', 'illegal-config', 'unsupported-adapter', 'no-target'])
      expect(kinds.get(kind) ?? 0, kind).toBeGreaterThan(50);
    expect(kinds.has('internal')).toBe(false);
  });

  it('what was read can be written, and reads the same', () => {
    const random = rng(5);
    let written = 0;
    for (let round = 0; round < 600; round++) {
      const { config, tensors } = ORIGINALS[round % ORIGINALS.length]!;
      try {
        const read = readAdapter(JSON.stringify(mutateJson(JSON.parse(config) as Json, random)), tensors);
        const files = writeAdapter(read);
        const again = readAdapter(files['adapter_config.json'], files['adapter_model.safetensors']);
        expect(again.tensors).toEqual(read.tensors);
        expect(writeAdapter(again)).toEqual(files);
        written++;
      } catch (error) {
        if (!(error instanceof PapilioError)) throw error;
      }
    }
    expect(written).toBeGreaterThan(100);
  });

  it('zips too', () => {
    const { config, tensors } = folder('oft_bias_all');
    const adapter = readAdapter(config, tensors);
    const zip = zipOf(folderOf(new Map([['default', adapter]])));
    const random = rng(9);
    let read = 0;
    for (let round = 0; round < 500; round++) {
      try {
        readFolder(filesFromZip(mutateBytes(zip, random)));
        read++;
      } catch (error) {
        if (!(error instanceof PapilioError)) throw error;
      }
    }
    expect(read).toBeLessThan(450);
  });

  it('a zip that claims gigabytes is refused before they are taken', () => {
    const zip = zipSync({ 'adapter_config.json': new Uint8Array(100) });
    const view = new DataView(zip.buffer);
    const directory = zip.findLastIndex(
      (_, i) => i + 3 < zip.length && view.getUint32(i, true) === 0x02014b50,
    );
    view.setUint32(directory + 24, 0x7fff_0000, true);
    const allocated = countAllocations();
    expect(() => filesFromZip(zip)).toThrow(/unpacks from \d+ to 2147418112 bytes, which cannot be/);
    expect(allocated()).toBeLessThan(100_000);
  });
});
