/** A module's weight before and after, looked at in float64: the singular values of its change, and how its neurons stand to each other. */
import type { AdapterPlan } from '../adapters/plan.ts';
import { sizeOf } from '../lib/numbers.ts';
import { type Breathe, rankAbove, shareOfRank, singularValues } from '../lib/singular.ts';
import { frobenius } from './inspect.ts';
import { compareNeurons } from './neurons.ts';
import type { Inspection, WeightReport } from './protocol.ts';
import type { Session } from './session.ts';

/** @param inspection of the same session, of the module in question */
export async function weightReport(
  { plan, setup }: Pick<Session, 'plan' | 'setup'>,
  { module, delta }: Inspection,
  breathe: Breathe,
): Promise<WeightReport> {
  const { rows, columns, data } = delta;
  const base = setup.parameters.get(`${module}.weight`)!.load();
  const after = Float64Array.from(data, (change, i) => base[i]! + change);
  const found = await singularValues(data, rows, columns, breathe);
  const largest = after.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const norm = frobenius(data);
  const neurons = await compareNeurons(base, after, rows, columns, breathe);
  const lora = equalLora(plan, module, rows, columns);
  return {
    module,
    rows,
    columns,
    singular: { ...found, ...rankAbove(found, rows, columns, largest), norm },
    neurons,
    lora: lora && { ...lora, share: shareOfRank(found.values, lora.rank, norm) },
  };
}

/** A LoRA of the rank that keeps as many numbers as the adapter does on this module, at least 1; null for a module that trains whole. */
function equalLora(
  { groups }: AdapterPlan,
  module: string,
  rows: number,
  columns: number,
): { readonly rank: number; readonly parameters: number } | null {
  const group = groups.find(({ layers }) => layers.some(({ name }) => name === module));
  if (!group) return null;
  const stored = group.tensors.reduce((sum, { spec }) => sum + sizeOf(spec.shape), 0);
  const rank = Math.max(1, Math.floor(stored / (rows + columns)));
  return { rank, parameters: rank * (rows + columns) };
}
