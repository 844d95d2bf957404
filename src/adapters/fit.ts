/**
 * Does a loaded adapter belong to this model? What PEFT refuses is refused, what it only warns of is warned of; but an adapter of which nothing
 * fits is refused, where PEFT loads nothing and goes on.
 */
import { fail } from '../lib/errors.ts';
import { say } from '../lib/say.ts';
import type { CommonConfig } from './fields.ts';
import type { LoadedAdapter } from './peft.ts';
import { PREFIX } from './peft.ts';
import { sharedTensors } from './plan.ts';
import { completeConfig, requireTargets, type Selection, type TargetModel } from './targets.ts';

export interface Fit {
  readonly selection: Selection;
  /** Base parameters that the file brings beside what the configuration trains: PEFT loads them into the base model. */
  readonly brought: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Matches an adapter's tensors with the modules its configuration targets.
 *
 * @param parameters shapes of the base parameters by PyTorch name, where known.
 * @throws PapilioError 'malformed-adapter' for a wrong shape, a missing saved module, or when nothing fits; as {@link requireTargets} otherwise.
 */
export function fitAdapter(
  adapter: LoadedAdapter,
  model: TargetModel,
  parameters: ReadonlyMap<string, readonly number[]> = new Map(),
): Fit {
  const { method } = adapter;
  const config = completeConfig(method, adapter.config, model);
  const selection = requireTargets(method, config, model);
  const layers = new Map(model.layers.map((layer) => [layer.name, layer]));
  const missing: string[] = [];
  let used = 0;
  for (const name of selection.targets) {
    const layer = layers.get(name);
    for (const spec of layer ? method.tensors(layer, config) : []) {
      const given = adapter.tensors.get(name)?.get(spec.name);
      if (given) checkShape(`${name}.${spec.name}`, given.shape, spec.shape);
      if (given) used++;
      else if (!spec.shape.includes(0)) missing.push(`${name}.${spec.name}`);
    }
  }
  sharedTensors(
    method,
    config,
    selection.targets.flatMap((name) => layers.get(name) ?? []),
    adapter.shared,
  );
  for (const name of selection.saved) {
    const known = [...parameters.keys()].filter((parameter) => moduleOf(parameter) === name);
    const needed =
      known.length > 0 ? known : [`${name}.weight`, ...(layers.get(name)?.hasBias ? [`${name}.bias`] : [])];
    const absent = needed.find((parameter) => !adapter.parameters.has(parameter));
    if (absent !== undefined) {
      fail(
        'malformed-adapter',
        say`modules_to_save covers ${name}, but the file has no ${absent}; PEFT refuses such an adapter too. Save it again with that module, or remove it from modules_to_save.`,
        { name },
      );
    }
  }
  for (const [name, tensor] of adapter.parameters) {
    const expected = parameters.get(name);
    if (expected) checkShape(name, tensor.shape, expected);
  }
  const { brought, ignored } = sortBrought(adapter, config, selection, parameters);
  used += adapter.parameters.size - ignored.length;
  const targets = new Set(selection.targets);
  const extra =
    method.fileNames === 'any' ? [] : tensorNames(adapter).filter(([module]) => !targets.has(module));
  const unused = [...(adapter.ignored ?? []), ...extra.map(([, name]) => name), ...ignored];
  if (used === 0 && unused.length > 0) fail('malformed-adapter', nothingFits(unused, missing));
  return {
    selection,
    brought,
    warnings: [
      ...selection.warnings,
      ...(unused.length > 0
        ? [
            say`Only part of the adapter fits: ${used} of the ${used + unused.length} tensors in its file are used; ignored, as no target or saved module of this model has them: ${some(unused)}.`,
          ]
        : []),
      ...(missing.length > 0
        ? [
            say`Missing adapter tensors stay at their start, ${missing.length} of ${missing.length + used}: ${some(missing)}.`,
          ]
        : []),
      ...(brought.length > 0
        ? [
            say`The adapter's file brings weights of the base model, which take the place of its own: ${some(brought)}.`,
          ]
        : []),
    ],
  };
}

/** Module and whole name of every tensor. */
const tensorNames = ({ tensors }: LoadedAdapter): [module: string, name: string][] =>
  [...tensors].flatMap(([module, own]) =>
    [...own.keys()].map((name): [string, string] => [module, `${PREFIX}${module}.${name}`]),
  );

/** What comes between PEFT's names and those of a file, and what to do about it. */
const MARKS: readonly (readonly [mark: RegExp, says: () => string])[] = [
  [
    /\b_orig_mod\./g,
    () =>
      say`the names hold _orig_mod, as those of a model under torch.compile do, and PEFT loads none of them; save the adapter from the model as it was before compiling (model._orig_mod.save_pretrained), or take "_orig_mod." out of the names`,
  ],
  [
    /(?<=\.)module\.|^module\./g,
    () =>
      say`the names hold "module.", as those of a model under DistributedDataParallel do, and PEFT loads none of them; save the adapter with model.module.save_pretrained, or take "module." out of the names`,
  ],
  [
    /\.[^.]+(?=\.(weight|bias)$)|\.default$/g,
    () =>
      say`the names hold the adapter's own name (such as .default.), as state_dict() has them, and PEFT's loading finds none of them; save the adapter with model.save_pretrained, or take that part out of the names`,
  ],
];

function nothingFits(unused: readonly string[], missing: readonly string[]): string {
  const bare = (name: string): string => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name);
  const wanted = new Set(missing);
  const known = MARKS.find(([mark]) => unused.some((name) => wanted.has(bare(name.replace(mark, '')))));
  const why =
    known?.[1]() ??
    say`it was made for a model with other modules; open the model it belongs to, or save it again with model.save_pretrained`;
  return missing.length === 0
    ? say`No tensor of the adapter fits, so nothing would change: its file has ${some(unused)}. Reason: ${why}.`
    : say`No tensor of the adapter fits, so nothing would change: its file has ${some(unused)}, and this model expects ${some(missing.map((n) => PREFIX + n))}. Reason: ${why}.`;
}

const moduleOf = (parameter: string): string => parameter.slice(0, parameter.lastIndexOf('.'));

/**
 * What PEFT's load_state_dict(strict=False) does with the file's base parameters: a layer that is wrapped takes them by the names
 * that have base_layer, every other module by its own, and what has no place is left.
 */
function sortBrought(
  adapter: LoadedAdapter,
  config: CommonConfig,
  { targets, saved }: Selection,
  parameters: ReadonlyMap<string, readonly number[]>,
): { readonly brought: string[]; readonly ignored: string[] } {
  const wrapped = new Set(adapter.method.fileNames === 'any' ? [] : targets);
  const whole = new Set(saved);
  const biases = config.bias !== undefined && config.bias !== 'none';
  const brought: string[] = [];
  const ignored: string[] = [];
  for (const name of adapter.parameters.keys()) {
    const module = moduleOf(name);
    if (whole.has(module) || adapter.method.fileNames === 'any') continue;
    const fits = parameters.size === 0 || parameters.has(name);
    if (!fits || wrapped.has(module) !== (adapter.inBaseLayer?.has(name) ?? wrapped.has(module)))
      ignored.push(name);
    else if (!(biases && name.endsWith('.bias'))) brought.push(name);
  }
  return { brought, ignored };
}

function checkShape(name: string, given: readonly number[], expected: readonly number[]): void {
  if (given.join() !== expected.join()) {
    fail(
      'malformed-adapter',
      say`Size mismatch: the adapter's ${name} has shape [${given.join(', ')}], but this model needs [${expected.join(', ')}]; the adapter was made for another model, another vocabulary or another configuration.`,
      { name, given, expected },
    );
  }
}

function some(names: readonly string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
}
