/** Reads the reference figures under test/fixtures/peft. */
import { readFileSync } from 'node:fs';
import type { Layer, LayerKind } from '../../src/adapters/types.ts';

const root = new URL('../fixtures/peft/', import.meta.url);

export function figures<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`${name}.json`, root), 'utf8')) as T;
}

export function folder(name: string): { config: string; tensors: Uint8Array } {
  return {
    config: readFileSync(new URL(`${name}/adapter_config.json`, root), 'utf8'),
    tensors: new Uint8Array(readFileSync(new URL(`${name}/adapter_model.safetensors`, root))),
  };
}

export function layer(name: string, inputs: number, out: number, kind: LayerKind = 'linear'): Layer {
  return { name, kind, in: inputs, out, hasBias: true };
}
