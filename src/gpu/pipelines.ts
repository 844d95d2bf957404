/** Shaders linked with WESL, and compute pipelines of one device, made once for each shader, entry point, set of conditions and set of constants. */
import { type LinkedWesl, linkWithResolver, RecordResolver, WeslParseError } from 'wesl/core';
import type { Dispatch } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';

export interface Pipeline {
  readonly raw: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** The bindings that the entry point uses. */
  readonly bindings: readonly BindingDeclaration[];
}

export type PipelineRequest = Pick<Dispatch, 'shader' | 'entry' | 'conditions' | 'constants'>;

export interface Pipelines {
  /** @throws PapilioError('internal') with file and line when the shader does not compile */
  get(request: PipelineRequest): Promise<Pipeline>;
  /** Compiler messages of a shader variant, errors and warnings. */
  messages(request: PipelineRequest): Promise<readonly string[]>;
  /** How many pipelines were made. */
  count(): number;
  /** Texts of all shaders that they are made of. */
  readonly shaders: string;
}

const sorted = (o: object | undefined): string =>
  JSON.stringify(Object.entries(o ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));

export const pipelineKey = (r: PipelineRequest): string =>
  `${r.shader}/${r.entry} ${sorted(r.conditions)} ${sorted(r.constants)}`;

interface Module {
  readonly shader: LinkedShader;
  readonly raw: GPUShaderModule;
  /** The compiler is asked once: Chromium answers a second time only when something else is asked of the device. */
  readonly messages: () => Promise<readonly string[]>;
}

/** The compiler's errors and warnings, each with file and line of the source. */
async function messagesOf(shader: LinkedShader, raw: GPUShaderModule): Promise<readonly string[]> {
  const info = await raw.getCompilationInfo();
  return info.messages
    .filter((m) => m.type !== 'info')
    .map((m) => {
      const lines = shader.code.split('\n');
      const offset =
        lines.slice(0, m.lineNum - 1).reduce((n, line) => n + line.length + 1, 0) + m.linePos - 1;
      const place = m.lineNum > 0 ? `${shader.sourceOf(Math.max(0, offset))}: ` : '';
      const text = m.lineNum > 0 ? ` in "${(lines[m.lineNum - 1] ?? '').trim()}"` : '';
      return `${place}${m.type}: ${m.message}${text}`;
    });
}

function compiled(device: GPUDevice, label: string, shader: LinkedShader): Module {
  // A text that does not compile is reported by `messagesOf`; the scope keeps it out of the console.
  device.pushErrorScope('validation');
  const raw = device.createShaderModule({ label, code: shader.code });
  device.popErrorScope().catch(() => null);
  let messages: Promise<readonly string[]> | undefined;
  return {
    ...{ shader, raw },
    messages: () => {
      messages ??= messagesOf(shader, raw);
      return messages;
    },
  };
}

export function createPipelines(device: GPUDevice, library: ShaderLibrary): Pipelines {
  const modules = new Map<string, Promise<Module>>();
  const layouts = new Map<string, GPUBindGroupLayout>();
  const pipelines = new Map<string, Promise<Pipeline>>();

  const moduleOf = (r: PipelineRequest): Promise<Module> => {
    const key = `${r.shader} ${sorted(r.conditions)}`;
    let module = modules.get(key);
    if (!module) {
      module = library
        .link(r.shader, r.conditions ?? {})
        .then((shader) => compiled(device, r.shader, shader));
      modules.set(key, module);
    }
    return module;
  };

  const layoutOf = (bindings: readonly BindingDeclaration[]): GPUBindGroupLayout => {
    const key = JSON.stringify(bindings);
    let layout = layouts.get(key);
    if (!layout) {
      layout = device.createBindGroupLayout({
        // 4 is GPUShaderStage.COMPUTE, which is no global in Node.
        entries: bindings.map(({ binding, type }) => ({ binding, visibility: 4, buffer: { type } })),
      });
      layouts.set(key, layout);
    }
    return layout;
  };

  const make = async (r: PipelineRequest): Promise<Pipeline> => {
    const module = await moduleOf(r);
    const { code } = module.shader;
    for (const name of Object.keys(r.constants ?? {})) {
      if (!hasOverride(code, name)) fail('internal', `Shader ${r.shader} declares no override ${name}.`);
    }
    const bindings = bindingsOf(code, r.entry);
    const layout = layoutOf(bindings);
    try {
      const raw = await device.createComputePipelineAsync({
        label: `${r.shader}/${r.entry}`,
        // One for each pipeline: wgpu holds a dispatch to the previous pipeline's buffer sizes when two share a pipeline layout.
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: module.raw, entryPoint: r.entry, constants: { ...r.constants } },
      });
      return { raw, layout, bindings };
    } catch (error) {
      const messages = await module.messages();
      const reason = messages.length
        ? messages.join('\n')
        : error instanceof Error
          ? error.message
          : String(error);
      throw new PapilioError('internal', `Shader ${pipelineKey(r)} does not compile: ${reason}`);
    }
  };

  return {
    get(request) {
      const key = pipelineKey(request);
      let pipeline = pipelines.get(key);
      if (!pipeline) {
        pipeline = make(request);
        pipelines.set(key, pipeline);
      }
      return pipeline;
    },
    messages: async (request) => (await moduleOf(request)).messages(),
    count: () => pipelines.size,
    shaders: library.text,
  };
}

// Links a kernel's WGSL file with the library functions it imports, under given conditions, and reads off the linked text what each
// entry point binds. Conditions must be declared in a file's head comment (`// conditions: F16 SUBGROUPS`): a misspelt one
// would silently count as false.

export interface BindingDeclaration {
  readonly binding: number;
  readonly type: 'uniform' | 'storage' | 'read-only-storage';
}

export interface LinkedShader {
  readonly name: string;
  readonly code: string;
  /** `shaders/softmax.wgsl:12`: file and line of the source behind a position of `code`. */
  readonly sourceOf: (offset: number) => string;
  /** The same as a place; null for text that the linker made. */
  readonly placeOf: (offset: number) => ShaderPlace | null;
}

/** A place in a file of shaders/. */
export interface ShaderPlace {
  /** Below shaders/: `lib/index.wgsl`. */
  readonly path: string;
  /** The first is 1. */
  readonly line: number;
  /** Letters before it in the file. */
  readonly at: number;
}

export interface ShaderLibrary {
  /** Names of all kernels' files without `.wgsl`, the functions' files in lib/ excluded. */
  readonly names: readonly string[];
  /** All files, in the order of their names. */
  readonly text: string;
  /** All files by path below shaders/. */
  readonly files: Readonly<Record<string, string>>;
  /** The conditions that a kernel's file and its libraries declare. */
  conditions(name: string): ReadonlySet<string>;
  /**
   * @param file the name under shaders/, with or without `.wgsl`
   * @throws PapilioError('internal') naming the shader for a missing file, an undeclared condition or text that does not link; of the last,
   * `details` has the `reason` and, where the linker knows it, the `place`
   */
  link(file: string, conditions: Readonly<Record<string, boolean>>): Promise<LinkedShader>;
}

/** @param files texts by path below the root of the shaders: `softmax.wgsl`, `lib/reduce.wgsl` */
export function createShaderLibrary(files: Readonly<Record<string, string>>): ShaderLibrary {
  const texts = new Map(Object.entries(files).map(([path, text]) => [path.replace(/\.wgsl$/, ''), text]));
  const resolver = new RecordResolver({ ...files }, { keepComments: false });

  /** The files a kernel's text reaches through imports and inline paths, itself included. */
  const reachable = (name: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(name)) return seen;
    seen.add(name);
    for (const [, file] of (texts.get(name) ?? '').matchAll(/package::lib::(\w+)/g))
      reachable(`lib/${file}`, seen);
    return seen;
  };

  const declared = (name: string): ReadonlySet<string> => {
    const words = new Set<string>();
    for (const file of reachable(name)) {
      const head = /^\/\/ conditions:([^\n]*)/m.exec(texts.get(file) ?? '');
      for (const word of head?.[1]?.trim().split(/[\s,]+/) ?? []) if (word) words.add(word);
    }
    return words;
  };

  const check = (name: string, conditions: Readonly<Record<string, boolean>>): void => {
    const known = declared(name);
    for (const key of Object.keys(conditions)) {
      if (!known.has(key))
        fail('internal', `Shader ${name} does not declare the condition ${key} in its head comment.`);
    }
    for (const file of reachable(name)) {
      for (const [, expression] of (texts.get(file) ?? '').matchAll(/@(?:if|elif)\(([^)]*)\)/g)) {
        for (const [word] of (expression ?? '').matchAll(/[A-Za-z_]\w*/g)) {
          if (word === 'true' || word === 'false' || known.has(word)) continue;
          fail(
            'internal',
            `Shader ${file} uses the condition ${word} without declaring it in its head comment.`,
          );
        }
      }
    }
  };

  return {
    names: [...texts.keys()].filter((name) => !name.startsWith('lib/')).sort(),
    text: JSON.stringify([...texts].sort(([a], [b]) => (a < b ? -1 : 1))),
    files,
    conditions: declared,
    async link(file, conditions) {
      const name = file.replace(/\.wgsl$/, '');
      if (!texts.has(name)) fail('internal', `There is no shader shaders/${name}.wgsl.`);
      check(name, conditions);
      let linked: LinkedWesl;
      try {
        linked = await linkWithResolver({
          resolver,
          rootModuleName: `${name}.wgsl`,
          conditions: { ...conditions },
        });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        return fail('internal', `Shader ${name} does not link: ${reason}`, {
          reason: reason.split('\n')[0]!,
          place: placeOfError(error),
        });
      }
      const code = linked.dest;
      const placeOf = (offset: number) => placeIn(linked, name, offset);
      const sourceOf = (offset: number) => {
        const place = placeOf(offset);
        return place
          ? `shaders/${place.path}:${place.line}`
          : `${name}, line ${lineAt(code, offset)} of the linked text`;
      };
      return { name, code, sourceOf, placeOf };
    },
  };
}

const lineAt = (text: string, end: number): number => text.slice(0, end).split('\n').length;

/** The linker calls every file .wesl. */
const ownPath = (path: string): string => path.replace(/^\.\//, '').replace(/(\.\w+)?$/, '.wgsl');

function placeIn(linked: LinkedWesl, name: string, offset: number): ShaderPlace | null {
  try {
    const { src, position } = linked.sourceMap.destToSrc(offset);
    return { path: ownPath(src.path ?? name), line: lineAt(src.text, position), at: position };
  } catch {
    return null;
  }
}

/** Where the linker's error is: it says so in one of two ways, or in none. */
function placeOfError(error: unknown): ShaderPlace | null {
  if (error instanceof WeslParseError) {
    const { debugFilePath, src } = error.src;
    const at = error.span[0];
    return { path: ownPath(debugFilePath), line: lineAt(src, at), at };
  }
  const { weslLocation: found } = error as {
    readonly weslLocation?: { readonly file: string; readonly line: number; readonly offset: number };
  };
  return found ? { path: ownPath(found.file), line: found.line, at: found.offset } : null;
}

const bundled: Record<string, string> = import.meta.glob('/shaders/**/*.wgsl', {
  query: '?raw',
  import: 'default',
  eager: true,
});

/** The kernels of this project. */
export const shaderLibrary: ShaderLibrary = createShaderLibrary(
  Object.fromEntries(Object.entries(bundled).map(([path, text]) => [path.replace(/^\/shaders\//, ''), text])),
);

/** Names of the entry points of a linked text. */
export function entryPoints(code: string): string[] {
  return [...code.matchAll(/@compute[\s\S]*?\bfn\s+(\w+)/g)].map(([, name]) => name!);
}

/** Whether the linked text declares an `override` of this name. */
export const hasOverride = (code: string, name: string): boolean =>
  new RegExp(`\\boverride\\s+${name}\\b`).test(code);

/**
 * What `entry` binds in group 0: the declarations it reaches, itself or through the functions it calls. Declarations of a file that
 * the entry point does not use are no part of its layout.
 */
export function bindingsOf(code: string, entry: string): BindingDeclaration[] {
  const functions = new Map<string, string>();
  for (const match of code.matchAll(/\bfn\s+(\w+)\s*\(/g)) {
    const open = code.indexOf('{', match.index + match[0].length);
    let depth = 0;
    let end = open;
    do {
      if (code[end] === '{') depth++;
      else if (code[end] === '}') depth--;
      end++;
    } while (depth > 0 && end < code.length);
    functions.set(match[1]!, code.slice(match.index, end));
  }
  const words = new Set<string>();
  const visit = (name: string): void => {
    // A word after a dot is a member or a component, never a binding.
    for (const [word] of functions.get(name)!.matchAll(/(?<![\w.])[A-Za-z_]\w*/g)) {
      if (words.has(word)) continue;
      words.add(word);
      if (functions.has(word)) visit(word);
    }
  };
  if (!functions.has(entry)) fail('internal', `The shader has no entry point ${entry}.`);
  visit(entry);

  const found: BindingDeclaration[] = [];
  for (const [, attributes, space, name] of code.matchAll(
    /((?:@(?:group|binding)\(\s*\d+u?\s*\)\s*){2})var<([^>]*)>\s*(\w+)/g,
  )) {
    if (!words.has(name!)) continue;
    const binding = Number(/@binding\(\s*(\d+)/.exec(attributes!)![1]);
    const type = space!.includes('uniform')
      ? 'uniform'
      : space!.includes('read_write')
        ? 'storage'
        : 'read-only-storage';
    if (found.some((b) => b.binding === binding))
      fail('internal', `Entry point ${entry} uses binding ${binding} twice.`);
    found.push({ binding, type });
  }
  return found.sort((a, b) => a.binding - b.binding);
}
