/** A reader's text from its files to pipelines, or to what is wrong with it and where: links it, compiles it as it stands, then with a budget in its loops. */
import { parseSrcModule } from 'wesl/core';
import type { Device } from '../../gpu/device.ts';
import {
  type BindingDeclaration,
  bindingsOf,
  hasOverride,
  type LinkedShader,
  pipelineKey,
  type ShaderLibrary,
} from '../../gpu/pipelines.ts';
import type { DispatchStep } from '../../graph/plan.ts';
import type { Dispatch } from '../../graph/types.ts';
import { PapilioError } from '../../lib/errors.ts';
import { say } from '../../lib/say.ts';
import { type Budgeted, withBudget } from './budget.ts';
import { BUDGET_GROUP, type ReadyPipeline, Refused, type Waiting } from './execute.ts';
import { placesIn } from './places.ts';
import type { ReaderMessage, ReaderPlace, ShaderTexts } from './protocol.ts';

/** It does not compile: every message, with its place in the reader's files. */
export class DoesNotCompile extends Error {
  readonly messages: readonly ReaderMessage[];
  constructor(messages: readonly ReaderMessage[]) {
    super(messages[0]?.text);
    this.messages = messages;
  }
}

interface Linked {
  readonly linked: LinkedShader;
  readonly placeOf: (offset: number) => ReaderPlace | null;
}

/** A text as it is compiled, once for all entry points. */
interface Compiled extends Linked {
  readonly budgeted: Budgeted;
  readonly module: GPUShaderModule;
}

export interface Reader {
  /** Makes the pipeline of a dispatch, once. @throws DoesNotCompile, Refused, DeviceGone */
  prepare(step: DispatchStep): Promise<void>;
  pipelineOf(dispatch: Dispatch): ReadyPipeline;
  /** Where a loop is in the reader's files, and how often it may go round. */
  loopOf(dispatch: Dispatch, loop: number): { readonly place: ReaderPlace | null; readonly most: number };
}

const MOST_MESSAGES = 20;

/** The linker's tree and the compiler's sentences name these; everything else is the reader's. */
const textKey = ({ shader, conditions }: Dispatch): string => `${shader} ${JSON.stringify(conditions ?? {})}`;

export function createReader({ raw }: Device, library: ShaderLibrary, { heard }: Waiting): Reader {
  const texts = new Map<string, Promise<Compiled>>();
  const pipelines = new Map<string, ReadyPipeline>();

  const errorsOf = async (module: GPUShaderModule): Promise<readonly GPUCompilationMessage[]> => {
    const { messages } = await heard(module.getCompilationInfo(), 'compile');
    return messages.filter(({ type }) => type === 'error');
  };
  const moduleOf = (code: string): GPUShaderModule => {
    // What is wrong with it is read from the compiler's messages.
    raw.pushErrorScope('validation');
    const module = raw.createShaderModule({ code });
    raw.popErrorScope().catch(() => null);
    return module;
  };

  const compile = async (dispatch: Dispatch): Promise<Compiled> => {
    const linked = await link(library, dispatch);
    const found = { linked, placeOf: placesIn(linked, library.files) };
    if (/@group\(\s*0*[1-9]/.test(linked.code))
      throw new Refused(say`This lab gives buffers to group 0 alone; the text asks for another.`);
    const wrong = await errorsOf(moduleOf(linked.code));
    if (wrong.length > 0) throw new DoesNotCompile(wrong.map((one) => messageOf(found, one)));
    for (const apart of [false, true]) {
      const budgeted = budgetOf(linked.code, apart);
      const module = moduleOf(budgeted.code);
      if ((await errorsOf(module)).length === 0) return { ...found, budgeted, module };
    }
    throw new Refused(say`The loops of this text could not be given a budget, so it is not run.`);
  };
  const compiled = (dispatch: Dispatch): Promise<Compiled> => {
    const key = textKey(dispatch);
    const known = texts.get(key) ?? compile(dispatch);
    texts.set(key, known);
    return known;
  };
  const known = new Map<string, Compiled>();

  return {
    async prepare(step) {
      const { dispatch } = step;
      const key = pipelineKey(dispatch);
      if (pipelines.has(key)) return;
      const text = await compiled(dispatch);
      known.set(textKey(dispatch), text);
      const bindings = requiredBindings(step, text.linked.code);
      const layout = layoutOf(raw, bindings);
      const budget = layoutOf(raw, [{ binding: 0, type: 'storage' }]);
      const making = raw.createComputePipelineAsync({
        layout: raw.createPipelineLayout({ bindGroupLayouts: [layout, budget] }),
        compute: {
          ...{ module: text.module, entryPoint: dispatch.entry, constants: { ...dispatch.constants } },
        },
      });
      const pipeline = await heard(
        making.catch((error: unknown) => {
          throw new Refused(firstLine(error));
        }),
        'compile',
      );
      pipelines.set(key, { raw: pipeline, layout, bindings });
    },
    pipelineOf: (dispatch) => pipelines.get(pipelineKey(dispatch))!,
    loopOf(dispatch, loop) {
      const { placeOf, budgeted } = known.get(textKey(dispatch))!;
      return { place: placeOf(budgeted.loops[loop - 1]!), most: budgeted.mostOf(loop) };
    },
  };
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]!;

async function link(library: ShaderLibrary, { shader, conditions }: Dispatch): Promise<LinkedShader> {
  try {
    return await library.link(shader, conditions ?? {});
  } catch (error) {
    const { details, message } = error as PapilioError;
    const { reason, place } = details as {
      readonly reason?: string;
      readonly place?: ReaderPlace | null;
    };
    // What is no WGSL at all lacks what the library looks for first: its own mistake says more.
    const own = place ? [] : mistakesOf(`${shader.replace(/\.wgsl$/, '')}.wgsl`, library.files);
    if (own.length > 0) throw new DoesNotCompile(own);
    throw new DoesNotCompile([{ place: place ?? null, text: withoutPlace(reason ?? message) }]);
  }
}

/** Firefox's compiler draws the line with its own number, which is that of the linked text. */
const ownWords = (message: string): string =>
  message
    .split('\n')
    .filter((line) => !/[│┌]/.test(line))
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '=')
    .join(' ');

/** Mistakes of spelling in a file, by the linker's reader. */
function mistakesOf(path: string, files: ShaderTexts): ReaderMessage[] {
  const src = files[path] ?? '';
  return parseSrcModule({ modulePath: 'package::reader', debugFilePath: path, src })
    .diagnostics.filter(({ severity }) => severity === 'error')
    .map(({ message, start }) => ({
      place: { path, line: src.slice(0, start).split('\n').length },
      text: message,
    }));
}

/** The linker begins with a file of its own naming and ends with one: `./cayley.wesl:36:34 error: Expected ';'`, `unresolved identifier 'x' in file: ./cayley.wesl`. */
const withoutPlace = (reason: string): string =>
  reason.replace(/^\.\/[\w/.]*:\d+:\d+ (error: )?/, '').replace(/ in file: \S*$/, '');

function messageOf(
  { linked, placeOf }: Linked,
  { message, lineNum, linePos }: GPUCompilationMessage,
): ReaderMessage {
  if (lineNum === 0) return { place: null, text: ownWords(message) };
  const lines = linked.code.split('\n');
  const before = lines.slice(0, lineNum - 1).reduce((sum, line) => sum + line.length + 1, 0);
  return { place: placeOf(before + Math.max(0, linePos - 1)), text: ownWords(message) };
}

function budgetOf(code: string, apart: boolean): Budgeted {
  try {
    return withBudget(code, BUDGET_GROUP, apart);
  } catch (error) {
    if (error instanceof PapilioError && error.kind === 'too-large') throw new Refused(error.message);
    throw error;
  }
}

/** What the entry point binds, of which the kernel gives all. @throws Refused */
function requiredBindings({ dispatch, bindings: given }: DispatchStep, code: string): BindingDeclaration[] {
  const { entry, constants = {} } = dispatch;
  for (const name of Object.keys(constants))
    if (!hasOverride(code, name))
      throw new Refused(say`The text has no override ${name}, which is set from outside.`);
  let bindings: BindingDeclaration[];
  try {
    bindings = bindingsOf(code, entry);
  } catch (error) {
    throw new Refused(
      new RegExp(`\\bfn\\s+${entry}\\b`).test(code)
        ? firstLine(error)
        : say`The text has no entry point ${entry}, which is what is run.`,
    );
  }
  for (const { binding, type } of bindings) {
    const range = given[binding - 1];
    if (binding > 0 && range === undefined)
      throw new Refused(
        say`Binding ${binding} is bound to nothing here: there are bindings 0 to ${given.length}.`,
      );
    if ((binding === 0) !== (type === 'uniform'))
      throw new Refused(
        say`Binding ${binding} is of the wrong kind: 0 is the uniform one, all others are storage.`,
      );
    if (type === 'storage' && range && !range.writable)
      throw new Refused(say`Binding ${binding} is what the kernel reads; it cannot be read_write.`);
  }
  return bindings;
}

const layoutOf = (raw: GPUDevice, bindings: readonly BindingDeclaration[]): GPUBindGroupLayout =>
  raw.createBindGroupLayout({
    // 4 is GPUShaderStage.COMPUTE, which is no global in Node.
    entries: bindings.map(({ binding, type }) => ({ binding, visibility: 4, buffer: { type } })),
  });

export { MOST_MESSAGES };
