/** Every op has its shader, every shader its op, and every method of the registry its folder, graph and card. */
import { describe, expect, it } from 'vitest';
import { METHODS } from '../../src/adapters/registry.ts';
import { entryPoints, hasOverride, shaderLibrary } from '../../src/gpu/pipelines.ts';
import { checkOf } from '../../src/graph/interpret.ts';
import { type AnyOp, baseCaps, type Caps, type Dispatch, type Kernel } from '../../src/graph/types.ts';
import { ops } from '../../src/ops/checks.ts';
import { realGraphs } from '../tools/realGraphs.ts';

const modules: Record<string, Record<string, unknown>> = import.meta.glob('/src/ops/*.ts', { eager: true });
const files: Record<string, string> = import.meta.glob('/shaders/**/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

const isOp = (thing: unknown): thing is AnyOp =>
  typeof thing === 'object' && thing !== null && 'infer' in thing && 'gradient' in thing;

/** Devices that kernels choose by: a GPU and a processor, each with the least limits and with generous ones. */
const devices: readonly Caps[] = [false, true].flatMap((software) => [
  { ...baseCaps, software },
  { ...baseCaps, software, maxWorkgroupStorageBytes: 65536, maxInvocationsPerWorkgroup: 1024 },
]);

/** Every dispatch that an op's cases lead to on any device. */
function dispatchesOf(op: AnyOp): Dispatch[] {
  if (!op.kernel) return [];
  return checkOf(op).cases.flatMap((c) => {
    const node = { inputs: c.inputs, outputs: op.infer(c.inputs, c.attrs), attrs: c.attrs };
    return devices.flatMap((caps) => withFinish(op.kernel!(node, caps)));
  });
}

/** A kernel's dispatches, and the one that finishes its sums with those of others. */
function withFinish({ dispatches, partials }: Kernel): readonly Dispatch[] {
  if (!partials) return dispatches;
  const sums = partials.sums.map(({ parts, count }) => ({ from: 0, parts, count, to: 0 }));
  return [...dispatches, { ...partials.finish(sums).dispatch, bindings: [] }];
}

const dispatches = ops.flatMap((op) => dispatchesOf(op).map((dispatch) => ({ op: op.name, ...dispatch })));
const bare = (file: string) => file.replace(/\.wgsl$/, '');

/** The file that declares a condition: a library's own counts for all that import it. */
function ownerOf(shader: string, word: string): string {
  const declares = (path: string) =>
    new RegExp(`^// conditions:.*\\b${word}\\b`, 'm').test(files[path] ?? '');
  const libraries = Object.keys(files).filter((path) => path.startsWith('/shaders/lib/'));
  return (
    libraries.find(
      (path) =>
        declares(path) &&
        files[`/shaders/${shader}.wgsl`]!.includes(`lib::${bare(path.split('/').at(-1)!)}::`),
    ) ?? shader
  );
}

describe('the table of ops', () => {
  it('holds every op that is defined', () => {
    const defined = Object.values(modules).flatMap((m) => Object.values(m).filter(isOp));
    expect(defined.length).toBeGreaterThan(20);
    expect([...new Set(defined)].filter((op) => !ops.includes(op)).map((op) => op.name)).toEqual([]);
  });

  it('holds each name once', () => {
    const names = ops.map((op) => op.name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});

describe('shaders', () => {
  it('exist for every op that computes, with its entry points', async () => {
    const wrong: string[] = [];
    const linked = new Map<string, { entries: string[]; code: string }>();
    for (const d of dispatches) {
      const key = `${d.shader} ${JSON.stringify(d.conditions ?? {})}`;
      if (!linked.has(key)) {
        // Refuses a missing file and an undeclared condition.
        const { code } = await shaderLibrary.link(d.shader, d.conditions ?? {});
        linked.set(key, { entries: entryPoints(code), code });
      }
      const { entries, code } = linked.get(key)!;
      if (!entries.includes(d.entry)) wrong.push(`${d.op}: ${d.shader} has no ${d.entry}`);
      for (const name of Object.keys(d.constants ?? {}))
        if (!hasOverride(code, name)) wrong.push(`${d.op}: ${d.shader} has no override ${name}`);
    }
    expect([...new Set(wrong)]).toEqual([]);
  });

  it('are each used by an op', () => {
    const used = new Set(dispatches.map((d) => bare(d.shader)));
    expect(shaderLibrary.names.filter((name) => !used.has(name))).toEqual([]);
  });

  it('have no entry point that no real graph reaches, and no condition that none turns on or that every one does', async () => {
    // Each condition with its owner, found once: dispatches are many.
    const shaders = new Map(
      shaderLibrary.names.map((name) => [
        name,
        [...shaderLibrary.conditions(name)].map((word) => ({ word, owner: ownerOf(name, word) })),
      ]),
    );
    const condition = (owner: string, word: string, on: boolean) => `${owner}: ${word} ${on}`;
    const reached = new Set<string>();
    for await (const { nodes } of realGraphs()) {
      for (const node of nodes) {
        for (const { shader, entry, conditions = {} } of devices.flatMap((caps) =>
          node.op.kernel ? withFinish(node.op.kernel(node, caps)) : [],
        )) {
          const name = bare(shader);
          reached.add(`${name}: ${entry}`);
          for (const { word, owner } of shaders.get(name)!)
            reached.add(condition(owner, word, conditions[word] ?? false));
        }
      }
    }
    const declared = [...shaders].flatMap(([name, words]) => [
      ...entryPoints(files[`/shaders/${name}.wgsl`]!).map((entry) => `${name}: ${entry}`),
      ...words.flatMap(({ word, owner }) => [true, false].map((on) => condition(owner, word, on))),
    ]);
    expect([...new Set(declared)].filter((use) => !reached.has(use))).toEqual([]);
  });

  it('import every file of shaders/lib', () => {
    const all = Object.values(files).join('\n');
    const libraries = Object.keys(files)
      .filter((path) => path.startsWith('/shaders/lib/'))
      .map((path) => bare(path.slice('/shaders/lib/'.length)));
    expect(libraries.filter((name) => !all.includes(`package::lib::${name}`))).toEqual([]);
  });
});

describe('methods', () => {
  it('load the graph of their folder, except those that adapt no layer', async () => {
    const graphs = import.meta.glob('/src/adapters/*/graph.ts', { import: 'graph' });
    const adapting = Object.values(METHODS).filter((m) => m.targets === 'required');
    expect(Object.keys(graphs).map((path) => path.split('/')[3])).toEqual(adapting.map((m) => m.id).sort());
    for (const { id, graph } of Object.values(METHODS)) {
      const file = await graphs[`/src/adapters/${id}/graph.ts`]?.();
      expect((await graph?.())?.graph).toBe(file);
    }
  });

  it('have a card each', () => {
    const cards = Object.keys(import.meta.glob('/src/adapters/*/card.ts')).map((path) => path.split('/')[3]);
    expect(cards.sort()).toEqual(Object.keys(METHODS).sort());
  });

  it('are registered under their own name', () => {
    expect(Object.values(METHODS).map(({ id }) => id)).toEqual(Object.keys(METHODS));
  });

  it('have a folder each', () => {
    const folders = Object.keys(import.meta.glob('/src/adapters/*/index.ts')).map(
      (path) => path.split('/')[3],
    );
    expect(folders.sort()).toEqual(Object.keys(METHODS).sort());
  });
});
