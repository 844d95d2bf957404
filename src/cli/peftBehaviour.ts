/** What PEFT's configuration classes and injection accept, correct or refuse, row by row against Papilio's. */
import { validateConfig } from '../adapters/config.ts';
import { methodByPeftType } from '../adapters/registry.ts';
import { requireTargets, trainableBiases } from '../adapters/targets.ts';
import type { Layer } from '../adapters/types.ts';
import { PapilioError } from '../lib/errors.ts';
import type { RowResult } from './peftTables.ts';

interface BehaviourRow {
  readonly method: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly in: number;
  readonly out: number;
  readonly layer: 'linear' | 'conv1d' | 'embedding';
  readonly cuda_ext_available: boolean;
  readonly stage: 'config' | 'inject' | 'ok';
  readonly error?: string;
  readonly message?: string;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly warnings?: readonly string[];
}

/** Errors of Python itself and of torch, which say nothing of the setting: there Papilio only has to refuse. */
const ACCIDENTS = ['ZeroDivisionError', 'RuntimeError', 'KeyError', 'IndexError', 'AttributeError'];

export function* checkBehaviour(json: { readonly rows: readonly BehaviourRow[] }): Iterable<RowResult> {
  for (const row of json.rows)
    yield { row: `${row.method} ${JSON.stringify(row.config)} on ${row.layer}`, reason: check(row) };
}

function check(row: BehaviourRow): string | null {
  const method = methodByPeftType(row.method);
  if (!method) return 'not supported';
  const target: Layer = {
    name: 'lin',
    kind: row.layer,
    in: row.in,
    out: row.out,
    hasBias: row.layer !== 'embedding',
  };
  try {
    const { config } = validateConfig(method, { target_modules: ['lin'], ...asBuilt(row) });
    const selection = requireTargets(method, config, { layers: [target] });
    const beyond = method.peftRefuses?.(target, config) ?? null;
    if (beyond !== null) return refusalSaid(row, beyond);
    if (row.stage !== 'ok') return `accepted, though PEFT says: ${row.message}`;
    const found: Record<string, readonly number[]> = {};
    for (const { name, shape } of method.tensors(target, config))
      found[`base_model.model.lin.${name}`] = shape;
    for (const module of trainableBiases(config, selection.targets, target.hasBias ? ['lin'] : []))
      found[`base_model.model.${module}.base_layer.bias`] = [target.out];
    const shapes = JSON.stringify(Object.entries(found).sort());
    const expected = JSON.stringify(Object.entries(row.shapes ?? {}).sort());
    if (shapes !== expected) return `shapes ${shapes} instead of ${expected}`;
    const said = selection.warnings.join('\n');
    const unsaid = (row.warnings ?? []).find((warning) => !said.includes(warning.trim()));
    return unsaid === undefined ? null : `does not warn: ${unsaid}`;
  } catch (error) {
    if (!(error instanceof PapilioError)) throw error;
    if (row.stage === 'ok') return `refused: ${error.message}`;
    if (ACCIDENTS.includes(row.error ?? '')) return null;
    return error.message.includes(wording(row.message ?? ''))
      ? null
      : `"${error.message}" instead of "${row.message}"`;
  }
}

/** Papilio adapts the layer and says that PEFT does not: in these words? */
const refusalSaid = (row: BehaviourRow, said: string): string | null =>
  row.stage === 'ok'
    ? `says that PEFT refuses, which it does not: ${said}`
    : said.includes(wording(row.message ?? ''))
      ? null
      : `"${said}" instead of "${row.message}"`;

/** PEFT's reason; where it prints a Python set and no advice, Papilio lists and suggests. */
function wording(message: string): string {
  return message.startsWith('Target modules {') ? 'not found in the base model' : message.trim();
}

/** Without its CUDA extension PEFT builds one butterfly factor whatever is asked, and warns; the table holds what it built. */
function asBuilt({
  method,
  config,
  cuda_ext_available: extension,
}: BehaviourRow): Readonly<Record<string, unknown>> {
  const factors = 'boft_n_butterfly_factor';
  return method === 'BOFT' && !extension && factors in config ? { ...config, [factors]: 1 } : config;
}
