/**
 * PEFT's adapter folder both ways: adapter_config.json and adapter_model.safetensors, with PEFT's keys, names and shapes. Methods
 * that PEFT does not know (head, full) use the same two files and say that PEFT cannot load them.
 */
import { within } from '../lib/budget.ts';
import { fail, passOn } from '../lib/errors.ts';
import { jsonOf } from '../lib/json.ts';
import { say } from '../lib/say.ts';
import { validateConfig } from './config.ts';
import type { CommonConfig } from './fields.ts';
import { savedEntries } from './matching.ts';
import { METHODS, methodByPeftType } from './registry.ts';
import { adapterTensor, readSafetensors, writeSafetensors } from './safetensors.ts';
import type { AdapterMethod, AdapterTensor, ModuleTensors } from './types.ts';

/** The version whose file layout is written. */
const PEFT_VERSION = '0.18.0';
/** Before the names of tensors that belong to no module. */
const SHARED_PREFIX = 'base_model.';
/** The wrapped layer's own parameters, e.g. its trained bias. */
const BASE_LAYER = '.base_layer.';

/** An adapter, wherever it came from. */
export interface Adapter {
  readonly method: AdapterMethod;
  readonly config: CommonConfig;
  /** The method's tensors by module path and parameter name (`oft_R.weight`). */
  readonly tensors: ReadonlyMap<string, ModuleTensors>;
  /** Base parameters trained as they are (modules_to_save and biases), by PyTorch name (`classifier.weight`). */
  readonly parameters: ReadonlyMap<string, AdapterTensor>;
  /** Frozen tensors that all layers share (`vera_A`), where the method has any. */
  readonly shared?: ReadonlyMap<string, AdapterTensor>;
}

export interface LoadedAdapter extends Adapter {
  /** Those of `parameters` that the file keeps inside a wrapped layer (`….base_layer.weight`). */
  readonly inBaseLayer?: ReadonlySet<string>;
  /** What the file's configuration says beside the method's own settings: its version, and keys that Papilio does not know. */
  readonly kept: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  /** Tensors of the file whose names are none of PEFT's for this method. */
  readonly ignored?: readonly string[];
}

export interface AdapterFiles {
  readonly 'adapter_config.json': string;
  readonly 'adapter_model.safetensors': Uint8Array<ArrayBuffer>;
  readonly warnings: readonly string[];
}

/**
 * Reads an adapter folder's two files.
 *
 * @throws PapilioError 'malformed-adapter' (files that are none, or another tool's), 'unsupported-adapter' (a method or PEFT feature
 * that Papilio lacks), 'illegal-config' (what PEFT refuses, in its words).
 */
export function readAdapter(configJson: string, safetensors: Uint8Array): LoadedAdapter {
  const json = parseConfig(configJson);
  const method = methodOf(json);
  for (const key of method.requiredInFile) {
    if (!Object.hasOwn(json, key)) {
      fail(
        'malformed-adapter',
        say`adapter_config.json has no ${key}: this ${method.title} adapter was saved by a PEFT before 0.14, whose tensors mean something else; train it anew.`,
      );
    }
  }
  const { config, warnings } = validateConfig(method, json);
  const sorted = sortTensors(method, safetensors);
  const version = typeof json.peft_version === 'string' ? json.peft_version : null;
  const reading = method.onRead(config, sorted.tensors, version, sorted.shared);
  return {
    method,
    config: reading.config,
    tensors: sorted.tensors,
    parameters: sorted.parameters,
    shared: sorted.shared,
    inBaseLayer: sorted.inBaseLayer,
    kept: keptKeys(method, json),
    warnings: [...warnings, ...sorted.warnings, ...reading.warnings],
    ignored: sorted.ignored,
  };
}

/** Saved again unchanged, an adapter is the same file, newer PEFT versions' keys included. */
function keptKeys(method: AdapterMethod, json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const known = new Set([...Object.keys(method.schema.shape), ...Object.keys(method.fixed), 'peft_type']);
  return Object.fromEntries(Object.entries(json).filter(([key]) => !known.has(key)));
}

function parseConfig(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    within('configLetters', text.length, 'adapter_config.json');
    json = jsonOf(text, 'adapter_config.json');
  } catch (cause) {
    passOn(cause);
    fail('malformed-adapter', say`adapter_config.json is not JSON.`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    fail('malformed-adapter', say`adapter_config.json is not a JSON object.`);
  }
  return json as Record<string, unknown>;
}

function methodOf(json: Readonly<Record<string, unknown>>): AdapterMethod {
  const type = json.peft_type;
  if (typeof type !== 'string') {
    fail(
      'malformed-adapter',
      say`adapter_config.json has no peft_type, so it is no PEFT adapter; it would be for example "BOFT" or "LORA".`,
    );
  }
  const known = Object.values(METHODS).map((method) => method.peftType);
  return (
    methodByPeftType(type) ??
    fail(
      'unsupported-adapter',
      say`The adapter's peft_type is ${JSON.stringify(type)}; Papilio reads ${known.join(', ')}.`,
      { type },
    )
  );
}

interface Sorted {
  readonly tensors: Map<string, Map<string, AdapterTensor>>;
  readonly parameters: Map<string, AdapterTensor>;
  readonly shared: Map<string, AdapterTensor>;
  readonly inBaseLayer: Set<string>;
  readonly warnings: string[];
  readonly ignored: readonly string[];
}

/** Sorts a file's tensors into the method's own and the base parameters that were trained beside them. */
function sortTensors(method: AdapterMethod, file: Uint8Array): Sorted {
  refuseForeignBytes(file);
  const stored = readSafetensors(file).tensors;
  const sorted = {
    tensors: new Map<string, Map<string, AdapterTensor>>(),
    parameters: new Map<string, AdapterTensor>(),
    shared: new Map<string, AdapterTensor>(),
    inBaseLayer: new Set<string>(),
    warnings: [] as string[],
  };
  const foreign: string[] = [];
  const extra: string[] = [];
  refuseForeignNames(method.title, [...stored.keys()]);
  for (const [name, tensor] of stored) {
    const own = method.sharedNames?.find((shared) => name === SHARED_PREFIX + shared);
    if (own !== undefined) {
      sorted.shared.set(own, adapterTensor(name, tensor));
      continue;
    }
    if (!name.startsWith(PREFIX)) {
      foreign.push(name);
      continue;
    }
    const path = name.slice(PREFIX.length);
    const place = placeOf(method, path);
    if (place === null) {
      // PEFT up to 0.12 stored BOFT's permutations; they follow from the configuration.
      if (!path.endsWith('.boft_P')) extra.push(name);
      continue;
    }
    const value = adapterTensor(name, tensor);
    if (place.module !== null) {
      const params = sorted.tensors.get(place.module) ?? new Map<string, AdapterTensor>();
      sorted.tensors.set(place.module, params.set(place.param, value));
    }
    if (place.parameter !== null) sorted.parameters.set(place.parameter, value);
    if (path.includes(BASE_LAYER)) sorted.inBaseLayer.add(path.replace(BASE_LAYER, '.'));
  }
  if (foreign.length > 0) {
    sorted.warnings.push(
      ignored(foreign, say`PEFT reads only names that begin with ${PREFIX.slice(0, -1)}.`),
    );
  }
  if (extra.length > 0)
    sorted.warnings.push(ignored(extra, say`no tensor of ${method.title} or of a saved module.`));
  return { ...sorted, ignored: [...foreign, ...extra] };
}

type Place =
  | { readonly module: string; readonly param: string; readonly parameter: string | null }
  | { readonly module: null; readonly parameter: string };

function placeOf(method: AdapterMethod, path: string): Place | null {
  const dot = path.lastIndexOf('.');
  // A parameter at the top of a model, such as logit_scale, is of no module.
  if (dot < 0 && path !== '' && !isAdapterName(path)) return { module: null, parameter: path };
  if (dot <= 0) return null;
  if (method.fileNames === 'any')
    return { module: path.slice(0, dot), param: path.slice(dot + 1), parameter: path };
  const own = method.fileNames.find((suffix) => path.endsWith(`.${suffix}`));
  if (own !== undefined) return { module: path.slice(0, -own.length - 1), param: own, parameter: null };
  const other = Object.entries(method.alsoRead ?? {}).find(([suffix]) => path.endsWith(`.${suffix}`));
  if (other !== undefined)
    return { module: path.slice(0, -other[0].length - 1), param: other[1], parameter: null };
  if (path.includes(BASE_LAYER)) return { module: null, parameter: path.replace(BASE_LAYER, '.') };
  // What another method's layer keeps is no parameter of a model.
  return isAdapterName(path) ? null : { module: null, parameter: path };
}

/** Names that methods of PEFT give their tensors. */
const ADAPTER_NAME = /(^|\.)(lora|oft|boft|hada|lokr|vera|ia3|fourierft|prompt|ran)_\w+(\.|$)/;
const isAdapterName = (path: string): boolean =>
  ADAPTER_NAME.test(path) ||
  Object.values(METHODS).some(
    ({ fileNames }) => fileNames !== 'any' && fileNames.some((name) => path.endsWith(`.${name}`)),
  );

function ignored(names: readonly string[], why: string): string {
  const shown = names.slice(0, 3).join(', ');
  if (names.length > 3) return say`${shown} and ${names.length - 3} more tensors are ignored: ${why}`;
  return names.length === 1 ? say`${shown} is ignored: ${why}` : say`${shown} are ignored: ${why}`;
}

/**
 * Writes the two files as `save_pretrained` does. An adapter as it was loaded keeps its version and its unknown keys.
 *
 * @param targetModules what target_modules became on the model, where the configuration says null or "all-linear".
 * @throws PapilioError 'shape' if a tensor's data does not fill its shape.
 */
export function writeAdapter(
  adapter: Adapter & Partial<Pick<LoadedAdapter, 'kept'>>,
  targetModules?: readonly string[] | string,
): AdapterFiles {
  const { method, config } = adapter;
  const named = new Map<string, AdapterTensor>();
  for (const [module, params] of adapter.tensors) {
    for (const [param, tensor] of params) named.set(`${PREFIX}${module}.${param}`, tensor);
  }
  for (const [name, tensor] of adapter.parameters) {
    const dot = name.lastIndexOf('.');
    const module = name.slice(0, dot);
    // An adapted layer keeps its own parameters inside the wrapper; 'any' methods wrap nothing.
    const wrapped = method.fileNames !== 'any' && adapter.tensors.has(module);
    named.set(PREFIX + (wrapped ? module + BASE_LAYER + name.slice(dot + 1) : name), tensor);
  }
  if (method.writesShared?.(config) ?? true) {
    for (const [name, tensor] of adapter.shared ?? []) named.set(SHARED_PREFIX + name, tensor);
  }
  const saved = savedEntries(config);
  const json: Record<string, unknown> = {
    ...method.fixed,
    ...config,
    modules_to_save: saved.length > 0 ? saved : config.modules_to_save,
    peft_type: method.peftType,
    peft_version: PEFT_VERSION,
    ...adapter.kept,
    inference_mode: true,
  };
  if (targetModules !== undefined) json.target_modules = targetModules;
  const sorted = Object.fromEntries(Object.entries(json).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    'adapter_config.json': JSON.stringify(sorted, null, 2),
    'adapter_model.safetensors': writeSafetensors(named),
    warnings: method.onWrite(config),
  };
}

// Files of other tools and of old versions, told by their first bytes or their tensor names: what they are, and what would be right.

/** What the names in PEFT's files begin with. */
export const PREFIX = 'base_model.model.';

const right = (): string =>
  say`give the folder that PeftModel.save_pretrained writes (adapter_config.json and adapter_model.safetensors)`;

const ascii = (text: string) => [...text].map((char) => char.charCodeAt(0));

/** First bytes and what they mean. */
const SIGNATURES: readonly {
  readonly bytes: readonly number[];
  is(): string;
  instead(): string;
}[] = [
  {
    bytes: ascii('PK\x03\x04'),
    is: () => say`a zip archive, as torch.save (.pt, .bin, .ckpt) writes`,
    instead: () => say`in Python load it and save it with safe_serialization=True, or ${right()}`,
  },
  {
    bytes: ascii('GGUF'),
    is: () => say`a GGUF file, as llama.cpp uses`,
    instead: () => say`convert the adapter from its original folder: ${right()}`,
  },
  { bytes: [0x1f, 0x8b], is: () => say`compressed with gzip`, instead: () => say`unpack it first` },
  {
    bytes: ascii('\x89HDF'),
    is: () => say`an HDF5 file, as Keras writes`,
    instead: () => say`Papilio reads PEFT adapters: ${right()}`,
  },
  {
    bytes: ascii('version https://git-lfs'),
    is: () => say`a Git LFS pointer, not the file itself`,
    instead: () => say`download it with git lfs pull or from the model page`,
  },
  {
    bytes: ascii('<!'),
    is: () => say`a web page`,
    instead: () => say`download the file itself, not the page about it`,
  },
  {
    bytes: ascii('{'),
    is: () => say`text that begins with {`,
    instead: () =>
      say`the configuration belongs in adapter_config.json and the tensors in adapter_model.safetensors`,
  },
];

/**
 * Refuses what is clearly no safetensors container.
 *
 * @throws PapilioError 'malformed-adapter' with what it is.
 */
export function refuseForeignBytes(file: Uint8Array): void {
  const isSafetensors = file[8] === 0x7b;
  if (isSafetensors) return;
  const known = SIGNATURES.find(({ bytes }) => bytes.every((byte, i) => file[i] === byte));
  if (known) fail('malformed-adapter', say`The adapter's tensors are ${known.is()}; ${known.instead()}.`);
  // Protocol 2 to 5 of Python's pickle.
  if (file[0] === 0x80 && file[1]! >= 2 && file[1]! <= 5) {
    fail(
      'malformed-adapter',
      say`The adapter's tensors are a Python pickle, which can run code when opened and is not read; in Python load it and save it with safe_serialization=True.`,
    );
  }
}

const ours = (): string => say`Papilio reads PEFT's names (${PREFIX}<module>.<parameter>)`;

/** Tensor names of other formats, the most telling first. */
const FORMATS: readonly { readonly name: RegExp; is(): string; readonly instead: () => string }[] = [
  {
    name: /\.oft_[rs](\.|$)/,
    is: () => say`belongs to OFT as PEFT stored it before 0.16, which cannot be converted`,
    instead: () => say`train the adapter anew`,
  },
  {
    name: /\.oft_(blocks|diag)$/,
    is: () =>
      say`is OFT as kohya's sd-scripts and LyCORIS have it, which turns the outputs and is another method than PEFT's`,
    instead: () => say`train the adapter anew; ${ours()}`,
  },
  {
    name: /^lycoris_|^(lora_(unet|te\d?|transformer)_.*\.)(hada_|lokr_|glora_|dora_scale)/,
    is: () => say`is named as LyCORIS names it`,
    instead: () =>
      say`${ours()}; convert it with PEFT's scripts/convert_lycoris or train LoHa or LoKr in PEFT`,
  },
  {
    name: /^lora_(unet|te\d?|transformer)_|\.lora_(down|up)\.weight$/,
    is: () => say`is named as kohya's sd-scripts or ComfyUI name it`,
    instead: () => say`${ours()}; diffusers can load it, and save_pretrained then writes PEFT's names`,
  },
  {
    name: /^(diffusion_model|model\.diffusion_model)\./,
    is: () => say`is named as ComfyUI names it`,
    instead: () => say`${ours()}; diffusers can load it, and save_pretrained then writes PEFT's names`,
  },
  {
    name: /^(unet|text_encoder(_2)?|transformer)\.|\.processor\.to_[qkvo](_out)?_lora\.|\.lora\.(down|up)\.weight$|_lora\.(down|up)\.weight$/,
    is: () => say`is named as diffusers names it`,
    instead: () => say`${ours()}; save the pipeline's component with save_pretrained of PEFT`,
  },
];

/**
 * Names what other tools and old versions write, instead of silently loading nothing.
 *
 * @param title the method that the configuration names
 * @throws PapilioError 'malformed-adapter' with the first telling name.
 */
export function refuseForeignNames(title: string, names: readonly string[]): void {
  for (const { name: pattern, is, instead } of FORMATS) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined)
      fail('malformed-adapter', say`The tensor ${shortened(found)} ${is()}; ${instead()}.`);
  }
  if (names.length > 0 && !names.some((name) => name.startsWith('base_model.'))) {
    fail(
      'malformed-adapter',
      say`None of the ${names.length} tensor names begins with ${PREFIX} (the first is ${shortened(names[0]!)}), so PEFT would load nothing from this ${title} adapter; save it with PeftModel.save_pretrained.`,
    );
  }
}

const shortened = (name: string) => (name.length > 120 ? `${name.slice(0, 120)}…` : name);
