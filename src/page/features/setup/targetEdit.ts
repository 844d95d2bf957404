/** From ticked boxes back to a target_modules list, and the groups the boxes stand in. */
import type { Layer } from '../../../methods.ts';

export interface LayerGroup {
  /** Path of the block, e.g. `dinov2.encoder.layer.0`; empty for modules outside every block. */
  readonly path: string;
  readonly names: readonly string[];
}

/** `a.layer.0.attention.query` → block `a.layer.0`, ending `attention.query`. */
export function splitName(name: string): { readonly block: string; readonly ending: string } {
  const parts = name.split('.');
  const last = parts.findLastIndex((part) => /^\d+$/.test(part));
  return last < 0 || last === parts.length - 1
    ? { block: '', ending: name }
    : { block: parts.slice(0, last + 1).join('.'), ending: parts.slice(last + 1).join('.') };
}

/** Modules by block, in the model's order. */
export function groupLayers(layers: readonly Layer[]): LayerGroup[] {
  const groups = new Map<string, string[]>();
  for (const { name } of layers) {
    const { block } = splitName(name);
    groups.set(block, [...(groups.get(block) ?? []), name]);
  }
  return [...groups].map(([path, names]) => ({ path, names }));
}

/**
 * The shortest list under PEFT's suffix rule that matches exactly `chosen`: an ending where every module with it is chosen, else full
 * names.
 */
export function namesToList(chosen: ReadonlySet<string>, layers: readonly Layer[]): string[] {
  const list: string[] = [];
  const names = layers.map(({ name }) => name);
  const matches = (ending: string) => names.filter((name) => name === ending || name.endsWith(`.${ending}`));
  for (const name of names) {
    if (!chosen.has(name)) continue;
    const { ending } = splitName(name);
    if (list.includes(ending)) continue;
    list.push(matches(ending).every((other) => chosen.has(other)) ? ending : name);
  }
  return list;
}

export type QuickSet = 'attention' | 'mlp' | 'all-linear' | 'none';

const ATTENTION =
  /(^|\.)(attention|attn|self_attn|self_attention|crossattention)\.|(^|\.)(q|k|v|o)_(proj|lin)$|c_attn$|out_lin$/;
const MLP = /(^|\.)(mlp|ffn|feed_forward|intermediate)\.|(^|\.)(fc|lin)[12]$|(^|\.)\d+\.output\.dense$/;

/** Whether a module belongs to a quick set. */
export function inQuickSet(set: QuickSet, layer: Layer): boolean {
  if (layer.kind !== 'linear' && layer.kind !== 'conv1d') return false;
  if (set === 'attention') return ATTENTION.test(layer.name);
  if (set === 'mlp') return MLP.test(layer.name) && !ATTENTION.test(layer.name);
  return false;
}
