/** Compute pipelines of one device, made once for each shader, entry point, set of conditions and set of constants. */
import type { Dispatch } from '../graph/types.ts';
import { fail, PapilioError } from '../lib/errors.ts';
import {
  type BindingDeclaration,
  bindingsOf,
  hasOverride,
  type LinkedShader,
  type ShaderLibrary,
} from './shaders.ts';

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
}

const sorted = (o: object | undefined): string =>
  JSON.stringify(Object.entries(o ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));

export const pipelineKey = (r: PipelineRequest): string =>
  `${r.shader}/${r.entry} ${sorted(r.conditions)} ${sorted(r.constants)}`;

interface Module {
  readonly shader: LinkedShader;
  readonly raw: GPUShaderModule;
}

/** The compiler's errors and warnings, each with file and line of the source. */
async function messagesOf({ shader, raw }: Module): Promise<string[]> {
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

export function createPipelines(device: GPUDevice, library: ShaderLibrary): Pipelines {
  const modules = new Map<string, Promise<Module>>();
  const layouts = new Map<string, GPUBindGroupLayout>();
  const pipelines = new Map<string, Promise<Pipeline>>();

  const moduleOf = (r: PipelineRequest): Promise<Module> => {
    const key = `${r.shader} ${sorted(r.conditions)}`;
    let module = modules.get(key);
    if (!module) {
      module = library.link(r.shader, r.conditions ?? {}).then((shader) => {
        // A text that does not compile is reported by `messagesOf`; the scope keeps it out of the console.
        device.pushErrorScope('validation');
        const raw = device.createShaderModule({ label: r.shader, code: shader.code });
        device.popErrorScope().catch(() => null);
        return { shader, raw };
      });
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
      const messages = await messagesOf(module);
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
    messages: async (request) => messagesOf(await moduleOf(request)),
    count: () => pipelines.size,
  };
}
