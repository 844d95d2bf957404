/** An ONNX model as a PyTorch-like module tree and a function that builds its graph at any sizes. */
import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/types.ts';
import { type Budget, createBudget } from '../../lib/budget.ts';
import { PapilioError } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { inlineFunctions } from '../../onnx/inline.ts';
import type { OnnxModel } from '../../onnx/types.ts';
import { canEmit, emitGraph, type Precision } from './emit.ts';
import { apartIn, type Folding, fold, isOperator, type Missing } from './fold.ts';
import { fuseActivations, fuseConv, fuseLinear, fuseNorms, liftReshapes, unpackProjections } from './fuse.ts';
import { fuseAttention } from './fuseAttention.ts';
import { bytesBehind, oneFolding, withBudget } from './importBudget.ts';
import {
  type BuildDims,
  bindInputs,
  defaultData,
  type InputKind,
  type InputSpec,
  inputSpecs,
  roleNotes,
  type SizeHints,
} from './inputs.ts';
import type { IrGraph, IrValue } from './ir.ts';
import { type ModuleInfo, type Tie, tabulate } from './modules.ts';
import { familyOf } from './names.ts';
import { spellAttention } from './operators/attention.ts';
import { type ActivationRounding, absorbScales, activationRounding, quantNotes } from './operators/quant.ts';
import { refuse } from './refuse.ts';
import { simplify } from './simplify.ts';
import { NO_TABLES, readTables, type Tables } from './tables.ts';

interface BuildOptions {
  /**
   * Names of the inputs that are fed at every run. Unless given: token ids, pictures, and the attention mask of encoders; a decoder
   * gets a full mask and positions in order, every model segment 0 and an empty cache, and all of that folds away.
   */
  readonly data?: readonly string[];
  /** Names of inputs that are fed besides these. */
  readonly also?: readonly string[];
  /** Contents of inputs that are not fed, row-major, in place of the usual ones. */
  readonly fixed?: ReadonlyMap<string, ArrayLike<number>>;
  /** Graph outputs wanted; unless given, all but the cache. */
  readonly outputs?: readonly string[];
  /** What weights are rounded to; unless given, nothing. */
  readonly precision?: Precision;
  /** False leaves the graph as the file spells it: slower, and what the fusions are tested against. */
  readonly fuse?: boolean;
}

interface BuiltModel {
  readonly inputs: Readonly<Record<string, Value>>;
  readonly outputs: Readonly<Record<string, Value>>;
}

export interface ImportedModel {
  /** model_type of config.json, or guessed from the modules: bert, vit, gpt2, llama, … */
  readonly family: string;
  /** Attends to earlier positions only. */
  readonly decoder: boolean;
  readonly modules: readonly ModuleInfo[];
  /** Names of parameters that are one in PyTorch, such as a table and the head that is tied to it. */
  readonly ties: readonly Tie[];
  readonly inputs: readonly InputSpec[];
  /** Names of the graph outputs without the cache. */
  readonly outputs: readonly string[];
  /** The file, its functions written out. */
  readonly onnx: OnnxModel;
  /** What of the file is computed otherwise here: sentences. */
  readonly notes: readonly string[];
  /** When onnxruntime rounds the activations of this file, which stay float here. */
  readonly activationsQuantised: ActivationRounding;
  /** What token ids and positions are looked up in; empty where there are none, or where the graph does not show it. */
  readonly tables: () => Tables;
  /**
   * Emits the model into `g`; parameters are named `<module>.<parameter>`.
   * @throws PapilioError 'bad-argument' for a size that is not known, 'shape' for one the file does not take, 'unsupported-onnx' for
   * what cannot run at these sizes
   */
  build(g: Builder, dims: BuildDims, options?: BuildOptions): BuiltModel;
}

export interface Sidecar {
  /** config.json as Hugging Face writes it. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Sizes of free dimensions that no convention tells, by the file's names for them. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Put before the names of all modules but those of a new head: what a bare model is called inside a model with one. */
  readonly prefix?: { readonly prefix: string; readonly except: readonly string[] };
}

interface Prepared {
  readonly graph: IrGraph;
  /** Nodes of the file whose results are constants. */
  readonly fixed: Folding['fixed'];
}

/**
 * Runs the passes between an ONNX graph and the engine's.
 * @param fuse false leaves everything as the file spells it (linear layers and patch convolutions excepted: they carry the modules)
 * @throws PapilioError 'unsupported-onnx' for nodes that cannot be imported, or have no kernel at these sizes
 */
function prepare(
  { graph: file, opset }: OnnxModel,
  bindings: ReadonlyMap<string, IrValue>,
  outputs: readonly string[],
  config: Readonly<Record<string, unknown>>,
  fuse = true,
): Prepared {
  const folding = fold(file, opset, bindings, outputs);
  const { graph, missing, fixed } = folding;
  if (missing.length > 0) refuse(missing, folding, null, file, config);
  simplify(graph);
  absorbScales(graph);
  spellAttention(graph, !fuse);
  simplify(graph);
  fuseConv(graph);
  fuseLinear(graph);
  liftReshapes(graph);
  simplify(graph);
  unpackProjections(graph, file, config);
  if (fuse) {
    fuseNorms(graph);
    simplify(graph);
    fuseActivations(graph);
    simplify(graph);
    fuseAttention(graph);
    simplify(graph);
    liftReshapes(graph);
  }
  simplify(graph, true);
  const stuck = graph.nodes
    .filter((node) => !canEmit(node))
    .map((node) => ({ op: node.op, node: node.origin?.name ?? '', reason: say`it has no kernel` }));
  if (stuck.length > 0) refuse(stuck, folding, graph, file, config);
  return { graph, fixed };
}

/** Sizes at which a model is looked at for its modules; small, and different from each other. */
const PROBE = { batch: 2, sequence: 6 };

function hintsOf(config: Readonly<Record<string, unknown>>): SizeHints {
  const number = (...keys: string[]): number | undefined =>
    keys.map((k) => config[k]).find((v): v is number => typeof v === 'number');
  const heads = number('num_attention_heads', 'n_head');
  const width = number('hidden_size', 'n_embd');
  const headDim = number('head_dim') ?? (heads && width ? width / heads : undefined);
  const kvHeads = number('num_key_value_heads') ?? heads;
  return {
    imageSize: number('image_size') ?? 224,
    channels: number('num_channels') ?? 3,
    ...(kvHeads === undefined ? {} : { kvHeads }),
    ...(headDim === undefined ? {} : { headDim }),
  };
}

/** Puts the prefix before the names of all modules but those of a head. */
function prefixing({ prefix, except }: Sidecar['prefix'] & {}): (name: string) => string {
  const isHead = (name: string): boolean => except.some((own) => name === own || name.startsWith(`${own}.`));
  return (name) => (isHead(name) ? name : `${prefix}.${name}`);
}

/** @throws PapilioError 'unsupported-onnx' naming every node that cannot be imported; `details` has `missing`, the list, and `recognised` */
export function importModel(file: OnnxModel, sidecar: Sidecar = {}): ImportedModel {
  const bytes = bytesBehind(file);
  const made = createBudget('madeBytes', bytes);
  return withBudget(bytes, () => readModel(file, sidecar, bytes, made), made);
}

function readModel(file: OnnxModel, sidecar: Sidecar, bytes: number, made: Budget): ImportedModel {
  const onnx = inlineFunctions(file, isOperator);
  const config = sidecar.config ?? {};
  const hints = hintsOf(config);
  const outputs = onnx.graph.outputs.map(({ name }) => name).filter((name) => !/^present/.test(name));

  const preparedAs = (
    specs: readonly InputSpec[],
    dims: BuildDims,
    options: BuildOptions,
    data: readonly string[],
  ): Prepared => {
    const bindings = bindInputs(onnx.graph, specs, dims, hints, new Set(data), options.fixed);
    return prepare(onnx, bindings, options.outputs ?? outputs, config, options.fuse);
  };

  // Looked at with full masks first: only then does a causal mask show as such.
  const sizes = (specs: readonly InputSpec[], length: number) => ({
    ...probeDims(specs, length),
    ...sidecar.dims,
  });
  const {
    inputs,
    length,
    looked: full,
  } = atItsSizes(inputSpecs(onnx.graph, config), (specs, at) =>
    oneFolding(() => preparedAs(specs, sizes(specs, at), {}, defaultData(specs, true))),
  );
  const fullMasks = defaultData(inputs, true);
  const decoder =
    inputs.some(({ kind }) => kind === 'past') ||
    full.graph.nodes.some((node) => node.op === 'Attention' && node.attrs.causal === true);
  const usualData = defaultData(inputs, decoder);
  const isFull = usualData.join() === fullMasks.join();
  const usual = isFull ? full : oneFolding(() => preparedAs(inputs, sizes(inputs, length), {}, usualData));
  const table = tabulate(usual.graph, onnx.graph, {
    config,
    fixed: usual.fixed,
    ...(sidecar.prefix ? { named: prefixing(sidecar.prefix) } : {}),
  });

  return {
    family: familyOf(config, table.modules),
    decoder,
    modules: table.modules,
    ties: table.ties,
    inputs,
    outputs,
    onnx,
    activationsQuantised: activationRounding(onnx.graph),
    notes: [...roleNotes(new Map(inputs.map(({ name, kind }) => [name, kind]))), ...quantNotes(onnx.graph)],
    tables: () =>
      withBudget(
        bytes,
        () =>
          tablesOf(onnx, inputs, outputs, config, (dims) =>
            bindInputs(onnx.graph, inputs, { ...sidecar.dims, ...dims }, hints, new Set(fullMasks)),
          ),
        made,
      ),
    build(g, dims, options = {}) {
      const data = [...(options.data ?? usualData), ...(options.also ?? [])];
      return withBudget(bytes + asked(dims), () =>
        emitGraph(preparedAs(inputs, dims, options, data).graph, g, table, options.precision),
      );
    },
  };
}

function tablesOf(
  { graph, opset }: OnnxModel,
  inputs: readonly InputSpec[],
  outputs: readonly string[],
  config: Readonly<Record<string, unknown>>,
  bind: (dims: BuildDims) => ReadonlyMap<string, IrValue>,
): Tables {
  const { batch } = probeDims(inputs, PROBE.sequence);
  if (!inputs.some(({ kind }) => kind === 'input_ids')) return NO_TABLES;
  for (const short of [3, 2, 1]) {
    try {
      return readTables({
        graph,
        opset,
        outputs,
        short,
        bind: (sequence) => bind({ batch, sequence }),
        kinds: new Map(inputs.map(({ feed, kind }) => [feed, kind])),
        padId: typeof config.pad_token_id === 'number' ? config.pad_token_id : null,
      });
    } catch (error) {
      // A table with fewer rows than that shows at shorter lengths.
      if (!(error instanceof PapilioError)) throw error;
    }
  }
  return NO_TABLES;
}

/** Kinds of inputs that have one entry for each token. */
const BY_TOKEN: readonly InputKind[] = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'];

/** What the sizes of a build make room for: some tables of numbers for each pair of tokens. */
const asked = ({ batch, sequence = 1, past = 0 }: BuildDims): number =>
  TABLES_OF_PAIRS * 4 * batch * sequence * (sequence + past);
const TABLES_OF_PAIRS = 32;

const isShapeTrouble = (error: unknown): error is PapilioError =>
  error instanceof PapilioError && sizesIn(error).length > 0;

/** Lengths to look at where the probe's is too long. */
const SHORTER = [4, 2];

/** Sizes of a complaint that are tried: more axes than two shapes of a model have. */
const MOST_SIZES = 12;

/** The sizes that a complaint about shapes names. */
function sizesIn(error: PapilioError): number[] {
  const { missing = [] } = error.details as { readonly missing?: readonly Missing[] };
  return [...new Set([apartIn(error), ...missing].flatMap(({ shapes = [] }) => shapes.flat()))];
}

/** The inputs as if the file declared these sizes. */
const withSizes = (
  specs: readonly InputSpec[],
  [batch, length]: readonly [number | null, number | null],
): InputSpec[] =>
  specs.map((spec) =>
    BY_TOKEN.includes(spec.kind) && spec.dims.length === 2
      ? { ...spec, dims: [batch ?? spec.dims[0]!, length ?? spec.dims[1]!] }
      : spec,
  );

/**
 * An exporter may declare free sizes and bake those of its example into the graph all the same. Where the graph does not fit the probe's
 * batch and length, those that its own complaints name are tried; the inputs then have these sizes.
 */
function atItsSizes<T>(
  declared: readonly InputSpec[],
  look: (specs: readonly InputSpec[], length: number) => T,
): { readonly inputs: readonly InputSpec[]; readonly length: number; readonly looked: T } {
  const attempt = (inputs: readonly InputSpec[], length = PROBE.sequence) => {
    try {
      return { inputs, length, looked: look(inputs, length), trouble: null };
    } catch (error) {
      if (isShapeTrouble(error)) return { inputs, length, looked: null, trouble: error };
      throw error;
    }
  };
  const first = attempt(declared);
  if (first.trouble === null) return first;
  // A table may have fewer rows than the probe has tokens.
  for (const length of SHORTER) {
    const short = attempt(declared, length);
    if (short.trouble === null) return short;
  }
  const tokens = declared.find(({ kind }) => kind === 'input_ids');
  if (!tokens || tokens.dims.every((d) => typeof d === 'number')) throw first.trouble;
  const lengths =
    typeof tokens.dims[1] === 'number'
      ? []
      : sizesIn(first.trouble)
          .filter((n) => n >= 2)
          .slice(0, MOST_SIZES);
  for (const length of [null, ...lengths]) {
    const free = length === null ? first : attempt(withSizes(declared, [null, length]));
    // A batch of another size shows whether that is baked in as well.
    const other = attempt(withSizes(declared, [PROBE.batch + 1, length]));
    if (free.trouble === null && other.trouble === null) return free;
    const batches = [PROBE.batch, ...sizesIn((free.trouble ?? other.trouble)!).slice(0, MOST_SIZES)];
    for (const batch of new Set(batches)) {
      const found = attempt(withSizes(declared, [batch, length]));
      if (found.trouble === null) return found;
    }
  }
  throw first.trouble;
}

/** The probe's sizes, where the file does not fix them. */
function probeDims(inputs: readonly InputSpec[], sequence: number): BuildDims {
  const fixed = (axis: number, kinds: readonly string[]): number | undefined => {
    const d = inputs.find(({ kind }) => kinds.includes(kind))?.dims[axis];
    return typeof d === 'number' ? d : undefined;
  };
  return {
    batch: fixed(0, ['input_ids', 'pixel_values', 'other']) ?? PROBE.batch,
    sequence: fixed(1, ['input_ids']) ?? sequence,
  };
}
