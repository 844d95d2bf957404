/** Imports run only downwards, and the page begins without the engine: rule 1 of docs/architecture.md, read off the sources. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { parseSync } from 'vite';
import { describe, expect, it } from 'vitest';

/** What each room may import besides itself. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  onnx: ['lib'],
  graph: ['lib'],
  ops: ['graph', 'lib'],
  models: ['onnx', 'ops', 'graph', 'data', 'lib'],
  adapters: ['onnx', 'ops', 'graph', 'lib'],
  gpu: ['graph', 'lib'],
  data: ['lib'],
  hub: ['lib'],
  python: ['lib', 'onnx', 'models', 'adapters', 'data'],
  training: [
    'lib',
    'onnx',
    'graph',
    'ops',
    'models',
    'adapters',
    'gpu',
    'data',
    'hub',
    'inference',
    'python',
    'onnxruntime',
  ],
  inference: ['onnx', 'data', 'lib'],
  onnxruntime: ['ops', 'graph', 'onnx', 'lib'],
  labs: ['lib', 'graph', 'ops', 'adapters', 'gpu', 'training', 'onnxruntime'],
  /** Through the entry points of the package alone. */
  page: [''],
  cli: [''],
  library: ['lib', 'onnx', 'models', 'adapters', 'data', 'hub', 'training', 'inference', 'onnxruntime'],
  /** src/main.tsx, and the entry points of the package: src/index.ts and its subpaths. */
  '': [
    'page',
    'library',
    'lib',
    'onnx',
    'graph',
    'ops',
    'gpu',
    'adapters',
    'models',
    'data',
    'hub',
    'training',
    'inference',
    'onnxruntime',
    'python',
    'labs',
  ],
};

/** Rooms and packages that the page may only load later. */
const LATER_ROOMS = ['gpu', 'graph', 'ops'];
const LATER_PACKAGES = [
  'onnxruntime-web',
  'plotly.js-basic-dist-min',
  'katex',
  'wesl',
  '@jax-js/jax',
  '@tensorflow/tfjs-core',
  '@tensorflow/tfjs-backend-webgpu',
  '@huggingface/hub',
];

type EdgeKind = 'static' | 'type' | 'dynamic' | 'url';

interface Edge {
  readonly kind: EdgeKind;
  /** Path from the root for files of the project, else the package's name. */
  readonly to: string;
  readonly package: boolean;
}

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** What a module refers to. `import type` and imports of types alone vanish in the build and count as 'type'. */
function edgesOf(path: string, text: string): Edge[] {
  const { module, errors } = parseSync(path, text);
  expect(errors, path).toEqual([]);
  const edges: Edge[] = [];
  const add = (kind: EdgeKind, specifier: string) => {
    const [bare = '', query] = specifier.split('?');
    // `?worker` and `?url` make a chunk of their own.
    const at = query === 'worker' || query === 'url' ? 'url' : kind;
    if (bare.startsWith('.'))
      edges.push({ kind: at, to: normalize(join(dirname(path), bare)), package: false });
    else if (bare.startsWith('/')) edges.push({ kind: at, to: bare.slice(1), package: false });
    else edges.push({ kind: at, to: packageOf(bare), package: true });
  };
  for (const { moduleRequest, entries } of module.staticImports) {
    const types = entries.length > 0 && entries.every((e) => e.isType);
    add(types ? 'type' : 'static', moduleRequest.value);
  }
  for (const { entries } of module.staticExports) {
    for (const e of entries) if (e.moduleRequest) add(e.isType ? 'type' : 'static', e.moduleRequest.value);
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const literal = /^['"]([^'"]+)['"]$/.exec(text.slice(moduleRequest.start, moduleRequest.end));
    if (literal) add('dynamic', literal[1]!);
  }
  for (const [, specifier] of text.matchAll(/new URL\(\s*['"](\.[^'"]+\.[mc]?[jt]sx?)['"]/g))
    add('url', specifier!);
  return edges;
}

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((path) => join('src', path).replaceAll('\\', '/'))
  .filter((path) => /\.(tsx?|mjs)$/.test(path) && !/\.d\.[mc]?ts$/.test(path))
  .sort();
const graph = new Map(sources.map((path) => [path, edgesOf(path, readFileSync(path, 'utf8'))]));

const roomOf = (path: string) => (path.split('/').length > 2 ? path.split('/')[1]! : '');

const isLater = (path: string) => LATER_ROOMS.includes(roomOf(path)) || LATER_PACKAGES.includes(path);

/** Every module that starts with `entry`, with the way to it; the way ends at the first that should come later. */
function closure(entry: string): Map<string, string> {
  const ways = new Map<string, string>();
  const visit = (path: string, way: string): void => {
    if (ways.has(path)) return;
    ways.set(path, way);
    if (isLater(path)) return;
    for (const edge of graph.get(path) ?? [])
      if (edge.kind === 'static') visit(edge.to, `${way} → ${edge.to}`);
  };
  visit(entry, entry);
  return ways;
}

/** The ways by which `entry` loads what should come later. */
const early = (entry: string) => [...closure(entry)].flatMap(([path, way]) => (isLater(path) ? [way] : []));

describe('rooms', () => {
  it('are all in the table', () => {
    const rooms = new Set(sources.map(roomOf));
    expect([...rooms].filter((room) => !Object.hasOwn(ROOMS, room))).toEqual([]);
  });

  /** The room of the page and of the command line past the entry points, edge by edge. */
  const PAST_THE_TABLE = [
    // What runs before anything is built reads no TypeScript, which all entry points are.
    'src/cli/adapters.mjs → src/lib/softwareAdapter.mjs (static)',
    // A worker is started by its file.
    'src/page/features/hub/hub.ts → src/training/sourceWorker.ts (url)',
    'src/page/inferenceClient.ts → src/inference/worker.ts (url)',
    'src/page/labs/labWorker.ts → src/labs/worker.ts (url)',
    'src/page/labs/shader/shaderWorker.ts → src/labs/shader/worker.ts (url)',
    'src/page/trainerClient.ts → src/training/worker.ts (url)',
  ];
  it('import only what lies below them', () => {
    const upwards: string[] = [];
    for (const [path, edges] of graph) {
      const room = roomOf(path);
      for (const { kind, to, package: isPackage } of edges) {
        if (isPackage || !to.startsWith('src/')) continue;
        const target = roomOf(to);
        if (target !== room && !ROOMS[room]?.includes(target)) upwards.push(`${path} → ${to} (${kind})`);
      }
    }
    expect(upwards.sort()).toEqual(PAST_THE_TABLE);
  });

  it('import only files that exist', () => {
    const missing: string[] = [];
    for (const [path, edges] of graph)
      for (const edge of edges)
        if (!edge.package && !existsSync(edge.to)) missing.push(`${path} → ${edge.to}`);
    expect(missing).toEqual([]);
  });
});

/**
 * What reads what a stranger's file says in its own language: tokens, templates, expressions, tables, models. Only workers do, since only a worker can be
 * ended. The one expression that the page reads itself is the target_modules of its own settings (adapters/matching.ts), whose steps are counted.
 */
const READERS = [
  ...['tokenizer', 'tokenSpans', 'chat', 'instructions', 'messages', 'rows'].map(
    (name) => new RegExp(`^src/data/${name}`),
  ),
  /^src\/data\/files\//,
  /^src\/lib\/regex\/script/,
  /^src\/lib\/zip/,
  /^src\/(onnx|graph|gpu|ops)\//,
  /^src\/models\/(import|read)/,
  /^src\/adapters\/(folder|plan|safetensors)/,
  /^src\/inference\/(beforeAfter|languageModel|session)\.ts$/,
  /^(@huggingface\/|hyparquet|papaparse|jpeg-js|fzstd|onnx-buf|onnxruntime-web)/,
];

/** What the page begins with, and the page of the labs. */
const PAGES = ['src/main.tsx', 'src/page/labs/main.tsx'];

/** A method names its graph, but only `loadMethod` of adapters/plan.ts loads it, which never runs there. */
const namesGraph = (path: string, to: string): boolean =>
  /^src\/adapters\/\w+\/index\.ts$/.test(path) && to === path.replace('index.ts', 'graph.ts');

/** Every module that runs on the page's own thread, at the start or later, with the way to it. */
function onPage(): Map<string, string> {
  const ways = new Map<string, string>();
  const visit = (path: string, way: string): void => {
    if (ways.has(path)) return;
    ways.set(path, way);
    for (const { kind, to } of graph.get(path) ?? [])
      if (kind === 'static' || (kind === 'dynamic' && !namesGraph(path, to))) visit(to, `${way} → ${to}`);
  };
  for (const entry of PAGES) visit(entry, entry);
  return ways;
}

describe('imports', () => {
  it('go in no circle, types included', () => {
    /** Files that reach one another, by Tarjan's strongly connected components. */
    const circles: string[] = [];
    const order = new Map<string, number>();
    const low = new Map<string, number>();
    const open: string[] = [];
    const visit = (path: string): void => {
      order.set(path, order.size);
      low.set(path, order.get(path)!);
      open.push(path);
      for (const { to, kind } of graph.get(path) ?? []) {
        if (kind === 'url' || !graph.has(to)) continue;
        if (!order.has(to)) visit(to);
        if (open.includes(to)) low.set(path, Math.min(low.get(path)!, low.get(to)!));
      }
      if (low.get(path) !== order.get(path)) return;
      const members = open.splice(open.indexOf(path));
      if (members.length > 1) circles.push(members.sort().join(', '));
    };
    for (const path of graph.keys()) if (!order.has(path)) visit(path);
    expect(order.size).toBeGreaterThan(100);
    expect(circles).toEqual([]);
  });
});

describe('the package', () => {
  it('names every entry point', () => {
    const points = sources.filter((path) => roomOf(path) === '' && path.endsWith('.ts'));
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly exports: object };
    const named = Object.keys(exports).map((name) => (name === '.' ? 'index' : name.slice('./'.length)));
    expect(points.map((path) => path.slice('src/'.length, -'.ts'.length)).sort()).toEqual(named.sort());
  });
});

describe('the page', () => {
  it('reads no tokenizer, template, expression or table of a file on its own thread', () => {
    const ways = onPage();
    expect(ways.size).toBeGreaterThan(100);
    const readers = [...ways].filter(([path]) => READERS.some((reader) => reader.test(path)));
    expect(readers.map(([, way]) => way)).toEqual([]);
    // Each is there to be found, in a worker.
    const known = [...graph].flatMap(([path, edges]) => [path, ...edges.map(({ to }) => to)]);
    for (const reader of READERS)
      expect(
        known.some((path) => reader.test(path)),
        String(reader),
      ).toBe(true);
    // What the engine compiles is never put together from what was read.
    const made = [...ways.keys()].filter(
      (path) =>
        graph.has(path) && /new RegExp\(|\bRegExp\(|new Function\(|\beval\(/.test(readFileSync(path, 'utf8')),
    );
    expect(made).toEqual([]);
  });

  it('starts without the engine and the large packages', () => {
    for (const entry of PAGES) {
      expect(closure(entry).size).toBeGreaterThan(10);
      expect(early(entry)).toEqual([]);
    }
  });

  it('of the labs starts without methods and what a run is, which a lab asks for when it trains', () => {
    const begun = [...closure('src/page/labs/main.tsx')];
    const late = ['src/methods.ts', 'src/protocol.ts', 'src/page/usePage.ts'];
    expect(begun.filter(([path]) => late.includes(path))).toEqual([]);
  });
});

describe('training', () => {
  /** Everything that `entry` can ever load: later imports and workers too. */
  function reachable(entry: string, seen = new Set<string>()): Set<string> {
    if (seen.has(entry)) return seen;
    seen.add(entry);
    for (const edge of graph.get(entry) ?? []) if (edge.kind !== 'type') reachable(edge.to, seen);
    return seen;
  }

  /** Loaded only when it is needed: what the processor trains with, which interprets what a method does after a step, and the check of a device. */
  const ON_DEMAND = ['src/training/onnxruntimeEngine.ts', 'src/training/deviceCheck.ts'];

  it('on a GPU loads no reference and no test case of an op, at no time', () => {
    for (const path of ON_DEMAND) {
      const edges = [...graph.values()].flat().filter(({ to }) => to === path);
      expect(new Set(edges.map(({ kind }) => kind))).toEqual(new Set(['dynamic']));
    }
    const all = [...reachable('src/main.tsx', new Set(ON_DEMAND))];
    expect(all).toContain('src/training/worker.ts');
    expect(all).toContain('src/ops/linear.ts');
    const checking = /\.check\.ts$|^src\/ops\/(checks|reference)\.ts$|^src\/graph\/interpret\.ts$/;
    expect(all.filter((path) => checking.test(path))).toEqual([]);
  });
});

describe('methods', () => {
  it('reach no graph and no GPU', () => {
    expect(early('src/adapters/registry.ts')).toEqual([]);
  });
});

describe('the tools', () => {
  it('and their packages are known to no source of the product', () => {
    const users = [...graph].flatMap(([path, edges]) =>
      edges
        .filter(
          ({ to }) => /^(tools|test)\//.test(to) || to === '@jax-js/jax' || to.startsWith('@tensorflow/'),
        )
        .map(({ to }) => `${path} → ${to}`),
    );
    expect(users).toEqual([]);
  });
});
