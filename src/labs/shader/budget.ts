/**
 * Gives the loops of a WGSL text a budget: a loop that goes round too often is left, and its number is written where the page reads it. It is done before
 * anything is compiled, on the linker's tree of the text, so that no spelling of a loop escapes.
 *
 * All loops of a thread share a count. A loop with a barrier in it must end for all threads at once, and the compiler must see that it does: such loops share
 * a count of their own, which goes from function to function by a pointer and which only they change, so it is as uniform as the loop. Where a text is uniform
 * by what a loop without a barrier gives, the shared count is still too much; for these, `apart` gives every loop a count that begins with the loop.
 */
import { parseSrcModule, WeslStream } from 'wesl/core';
import { fail } from '../../lib/errors.ts';

/** Rounds of all loops of one thread, fewer than the 65,535 after which Mesa leaves a loop without a word; of those with a barrier in them. */
export const MOST_ROUNDS = 2 ** 15;
export const MOST_MEETINGS = 2 ** 13;
/** Calls that a compiler may have to write out, if it writes out all of them. */
const MOST_CALLS = 20_000;

export interface Budgeted {
  /** On the same lines as before, with more at its end. */
  readonly code: string;
  /** Where each loop begins in the text that was given; loop 1 is the first. */
  readonly loops: readonly number[];
  /** The most rounds of a loop, or of all of them. */
  readonly mostOf: (loop: number) => number;
}

/** A node of the linker's tree, as far as it is read here. */
interface Tree {
  readonly kind?: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

interface Loop {
  /** Behind its attributes. */
  readonly start: number;
  /** Before them. */
  readonly outer: number;
  /** Just inside of its body. */
  readonly body: number;
  /** Loops around it in its function. */
  readonly around: number;
  readonly calls: Set<string>;
}

export interface Fn {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly isEntry: boolean;
  readonly body: number;
  /** Behind the bracket of its parameters, and whether there are any. */
  readonly params: Spot;
  readonly calls: { readonly name: string; readonly args: Spot; readonly around: number }[];
  readonly loops: Loop[];
}

interface Spot {
  readonly at: number;
  readonly isEmpty: boolean;
}

const LOOPS = ['for', 'while', 'loop'];
/** Functions that all threads of a workgroup, or of a subgroup, must call together. */
const MEETS = /^((workgroup|storage|texture)Barrier|workgroupUniformLoad|subgroup[A-Z]\w*|quad[A-Z]\w*)$/;

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && typeof (value as Tree).start === 'number';

/** Nodes directly below one; what a name refers to is no part of it. */
function below(tree: Tree): Tree[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    key === 'ident' || key === 'srcModule'
      ? []
      : (Array.isArray(value) ? value : [value])
          .filter(isTree)
          .filter(({ start, end }) => start >= tree.start && end <= tree.end),
  );
}

/** @throws PapilioError('malformed-file') where the text is no WGSL */
export function functionsOf(code: string): Fn[] {
  const { moduleElem, diagnostics } = parseSrcModule({
    ...{ modulePath: 'package::reader', debugFilePath: 'reader.wgsl', src: code },
  });
  const bad = diagnostics.find(({ severity }) => severity === 'error');
  if (bad) fail('malformed-file', bad.message);
  const stream = new WeslStream(code, false);
  const behindBracket = (from: number, isEmpty: boolean): Spot => {
    stream.reset(from);
    const token = stream.nextToken();
    if (token?.text !== '(') fail('internal', `No bracket after ${code.slice(from - 20, from)}.`);
    return { at: token!.end, isEmpty };
  };
  return (moduleElem.decls as readonly unknown[] as readonly Tree[])
    .filter(({ kind }) => kind === 'fn')
    .map((tree) => {
      const name = tree.name as Tree;
      const body = tree.body as Tree;
      const params = tree.params as readonly unknown[];
      const attributes = (tree.attributes ?? []) as readonly Tree[];
      const isEntry = attributes.some(({ start, end }) => /^@\s*compute\b/.test(code.slice(start, end)));
      const fn: Fn = {
        ...{ name: code.slice(name.start, name.end), start: name.start, end: tree.end },
        ...{ isEntry, body: body.start + 1 },
        ...{ params: behindBracket(name.end, params.length === 0), calls: [], loops: [] },
      };
      // The tree has some nodes in two places: `continuing` as a loop's and in its body.
      const seen = new Set<Tree>();
      const visit = (node: Tree, around: readonly Loop[]): void => {
        if (seen.has(node)) return;
        seen.add(node);
        let inside = around;
        if (LOOPS.includes(node.kind ?? '')) {
          const at = (node.body as Tree).start + 1;
          const own = (node.attributes ?? []) as readonly Tree[];
          const start = Math.max(node.start, ...own.map(({ end }) => end));
          const loop: Loop = { start, outer: node.start, body: at, around: around.length, calls: new Set() };
          fn.loops.push(loop);
          inside = [...around, loop];
        }
        if (node.kind === 'call-expression') {
          const callee = node.function as Tree;
          const called = /^\w*/.exec(code.slice(callee.start, callee.end))![0];
          const args = node.arguments as readonly unknown[];
          const end = Math.max(callee.end, ...templatesOf(node).map((one) => one.end));
          for (const loop of inside) loop.calls.add(called);
          if (/^[a-z_]/i.test(called) && /^\s*\(/.test(code.slice(end, end + 80)))
            fn.calls.push({
              ...{ name: called, around: inside.length },
              args: behindBracket(end, args.length === 0),
            });
        }
        for (const child of below(node)) visit(child, inside);
      };
      visit(body, []);
      return fn;
    });
}

const templatesOf = (node: Tree): readonly Tree[] => (node.templateArgs ?? []) as readonly Tree[];

/** What holds of a function if it holds of one that it calls, to any depth. */
function spread(fns: ReadonlyMap<string, Fn>, holds: (fn: Fn) => boolean): ReadonlySet<string> {
  const found = new Set([...fns.values()].filter(holds).map(({ name }) => name));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const fn of fns.values()) if (fn.calls.some(({ name }) => found.has(name))) found.add(fn.name);
  }
  return found;
}

/**
 * How much a function is with all that it calls; functions that call themselves count as too much.
 * @param own of a function alone @param join of a call and what is called
 */
function depths(
  fns: ReadonlyMap<string, Fn>,
  most: number,
  own: (fn: Fn, of: (name: string) => number) => number,
) {
  const known = new Map<string, number>();
  const of = (name: string): number => {
    const fn = fns.get(name);
    if (fn === undefined) return 0;
    const before = known.get(name);
    if (before !== undefined) return before;
    known.set(name, most);
    const found = Math.min(most, own(fn, of));
    known.set(name, found);
    return found;
  };
  return of;
}

/** Names that the text does not have. */
function names(code: string) {
  let end = '';
  while (code.includes(`budget${end}_`)) end += 'x';
  const name = (word: string) => `budget${end}_${word}`;
  return {
    ...{ left: name('left'), spent: name('spent'), stop: name('stop'), tell: name('tell') },
    ...{ meetings: name('meetings'), at: name('at'), own: name('own') },
  };
}

/**
 * @param code linked WGSL that compiles
 * @param group the bind group of the one buffer, `atomic<u32>` at binding 0, that gets the number of the loop that went on too long
 * @param apart whether every loop counts for itself
 * @throws PapilioError('too-large') where the calls alone are too many
 */
export function withBudget(code: string, group: number, apart = false): Budgeted {
  const list = functionsOf(code);
  const fns = new Map(list.map((fn) => [fn.name, fn]));
  const calls = depths(fns, MOST_CALLS, (fn, of) =>
    fn.calls.reduce((sum, { name }) => sum + 1 + of(name), 0),
  );
  for (const { name } of list)
    if (calls(name) >= MOST_CALLS)
      fail('too-large', `${name} calls functions that call functions, ${MOST_CALLS} times or more in all.`);
  const meeting = spread(fns, (fn) => fn.calls.some(({ name }) => MEETS.test(name)));
  const meets = ({ calls: inside }: Loop): boolean =>
    [...inside].some((name) => MEETS.test(name) || meeting.has(name));
  const counting = spread(fns, (fn) => fn.loops.some(meets));
  const n = names(code);
  const inserts: { readonly at: number; readonly text: string }[] = [];
  const loops: number[] = [];
  const mosts: number[] = [];
  const share = apart ? sharesOf(fns) : null;
  for (const fn of list) {
    if (!apart && counting.has(fn.name)) {
      if (fn.isEntry)
        inserts.push({ at: fn.body, text: ` var ${n.meetings}: u32; let ${n.at} = &${n.meetings};` });
      else inserts.push(argument(fn.params, `${n.at}: ptr<function, u32>`));
    }
    for (const { name, args } of fn.calls)
      if (!apart && counting.has(name)) inserts.push(argument(args, n.at));
    for (const loop of fn.loops) {
      const number = loops.push(loop.start);
      const most = share ? share(fn, loop) : meets(loop) ? MOST_MEETINGS : MOST_ROUNDS;
      mosts.push(most);
      if (share) {
        const own = `${n.own}${number}`;
        inserts.push({ at: loop.outer, text: `var ${own}: u32 = 0u; ` });
        inserts.push({
          at: loop.body,
          text: ` ${own} += 1u; if (${own} > ${most}u) { ${n.tell}(${number}u); break; }`,
        });
      } else if (meets(loop)) {
        const first = `if (*${n.at} == ${most + 1}u) { ${n.tell}(${number}u); }`;
        inserts.push({
          at: loop.body,
          text: ` *${n.at} += 1u; if (*${n.at} > ${most}u) { ${first} break; }`,
        });
      } else inserts.push({ at: loop.body, text: ` if (${n.stop}(${number}u)) { break; }` });
    }
  }
  inserts.sort((a, b) => a.at - b.at);
  let out = '';
  let from = 0;
  for (const { at, text } of inserts) {
    out += code.slice(from, at) + text;
    from = at;
  }
  return {
    code: `${out}${code.slice(from)}\n${declarations(n, group)}`,
    loops,
    mostOf: (loop) => mosts[loop - 1]!,
  };
}

const argument = ({ at, isEmpty }: Spot, text: string) => ({ at, text: isEmpty ? text : `${text}, ` });

/** Rounds of every loop so that those of loops inside of loops, functions that they call included, stay within the budget. */
function sharesOf(fns: ReadonlyMap<string, Fn>): (fn: Fn, loop: Loop) => number {
  const MOST_DEPTH = 15;
  const deep = depths(fns, MOST_DEPTH, (fn, of) =>
    Math.max(
      0,
      ...fn.loops.map(({ around }) => around + 1),
      ...fn.calls.map(({ name, around }) => around + of(name)),
    ),
  );
  const most = Math.max(1, ...[...fns.keys()].map(deep));
  const each = Math.max(2, Math.floor(MOST_ROUNDS ** (1 / most)));
  return () => each;
}

const declarations = (n: ReturnType<typeof names>, group: number): string => `
@group(${group}) @binding(0) var<storage, read_write> ${n.spent}: atomic<u32>;
var<private> ${n.left}: u32 = ${MOST_ROUNDS}u;
fn ${n.tell}(loop_number: u32) { atomicMax(&${n.spent}, loop_number); }
fn ${n.stop}(loop_number: u32) -> bool {
  if (${n.left} > 1u) { ${n.left} -= 1u; return false; }
  if (${n.left} == 1u) { ${n.left} = 0u; ${n.tell}(loop_number); }
  return true;
}
`;
