/** An expression's tree as instructions of a small backtracking machine (counted repetitions are written out), and that machine, which counts its steps. */
import { type CharSet, type Place, type Regex, type RegexNode, widthOf } from './syntax.ts';

export type Instruction =
  | { readonly op: 'set'; readonly has: CharSet }
  | { readonly op: 'place'; readonly is: Place }
  /** Goes on at `first`, and at `second` if that fails. */
  | { op: 'split'; first: number; second: number }
  | { op: 'jump'; to: number }
  /** Takes as many of the set as there are and gives them back one by one (`\w*`), or takes one more at a time where it is lazy. */
  | { readonly op: 'run'; readonly has: CharSet; readonly lazy: boolean }
  | { readonly op: 'save'; readonly slot: number }
  /** Where a round of a loop begins; its end goes to `again`, or to `leave` where the round took nothing (−1: it fails). */
  | { readonly op: 'round'; readonly slot: number }
  | { readonly op: 'roundEnd'; readonly slot: number; readonly again: number; leave: number }
  /** `behind`: how many characters before this place it may begin; null for what lies ahead. */
  | {
      op: 'look';
      readonly behind: readonly [number, number] | null;
      readonly negated: boolean;
      next: number;
    }
  /** What is behind it is matched once for all. */
  | { op: 'atomic'; next: number }
  | { readonly op: 'back'; readonly group: number; readonly same: (a: number, b: number) => boolean }
  | { op: 'condition'; readonly group: number; no: number }
  | { readonly op: 'accept' };

export interface Program {
  readonly code: readonly Instruction[];
  /** Where groups start and end (two each, the whole match first), then where rounds of loops began. */
  readonly slots: number;
  readonly names: ReadonlyMap<string, number>;
  readonly groups: number;
  /** Whether what follows a place in the text depends on that place alone, so that failures can be remembered. */
  readonly memory: boolean;
}

/** Instructions that an expression may have. */
const MOST_INSTRUCTIONS = 20_000;

class Writer {
  readonly code: Instruction[] = [];
  slots: number;
  memory = true;
  readonly #emptyRound: Regex['emptyRound'];
  constructor(groups: number, emptyRound: Regex['emptyRound']) {
    this.slots = 2 * (groups + 1);
    this.#emptyRound = emptyRound;
  }

  #leave(at: number): number {
    return this.#emptyRound === 'last' ? at : -1;
  }

  add<T extends Instruction>(instruction: T): T {
    if (this.code.length >= MOST_INSTRUCTIONS)
      throw new SyntaxError(
        `its repetitions written out take more than ${MOST_INSTRUCTIONS} steps; use smaller numbers in braces`,
      );
    this.code.push(instruction);
    return instruction;
  }

  write(node: RegexNode): void {
    switch (node.kind) {
      case 'set':
        this.add({ op: 'set', has: node.has });
        return;
      case 'place':
        this.add({ op: 'place', is: node.is });
        return;
      case 'sequence':
        for (const part of node.parts) this.write(part);
        return;
      case 'choice':
        this.#choice(node.options);
        return;
      case 'group':
        this.add({ op: 'save', slot: 2 * node.index });
        this.write(node.body);
        this.add({ op: 'save', slot: 2 * node.index + 1 });
        return;
      case 'atomic':
        this.#inside(this.add({ op: 'atomic', next: 0 }), node.body);
        return;
      case 'look':
        this.#inside(
          this.add({
            op: 'look',
            behind: node.behind ? widthOf(node.body) : null,
            negated: node.negated,
            next: 0,
          }),
          node.body,
        );
        return;
      case 'back':
        this.memory = false;
        this.add({ op: 'back', group: node.group, same: node.same });
        return;
      case 'condition': {
        this.memory = false;
        const start = this.add({ op: 'condition', group: node.group, no: 0 });
        this.write(node.yes);
        const jump = this.add({ op: 'jump', to: 0 });
        start.no = this.code.length;
        this.write(node.no);
        jump.to = this.code.length;
        return;
      }
      case 'repeat':
        this.#repeat(node);
    }
  }

  /** A program of its own, which ends in 'accept'. */
  #inside(start: { next: number }, body: RegexNode): void {
    this.write(body);
    this.add({ op: 'accept' });
    start.next = this.code.length;
  }

  #choice(options: readonly RegexNode[]): void {
    const jumps: { to: number }[] = [];
    options.forEach((option, k) => {
      if (k === options.length - 1) {
        this.write(option);
        return;
      }
      const split = this.add({ op: 'split', first: this.code.length + 1, second: 0 });
      this.write(option);
      jumps.push(this.add({ op: 'jump', to: 0 }));
      split.second = this.code.length;
    });
    for (const jump of jumps) jump.to = this.code.length;
  }

  #repeat(node: Extract<RegexNode, { kind: 'repeat' }>): void {
    if (node.mode === 'possessive') {
      this.write({ kind: 'atomic', body: { ...node, mode: 'greedy' } });
      return;
    }
    const lazy = node.mode === 'lazy';
    const before = this.code.length;
    for (let k = 0; k < node.min; k++) {
      this.write(node.body);
      if (this.code.length === before) return;
    }
    if (node.max === Infinity) this.#loop(node.body, lazy);
    else this.#rounds(node.body, node.max - node.min, lazy);
  }

  /** As many rounds as there may be, each inside the one before. */
  #rounds(body: RegexNode, most: number, lazy: boolean): void {
    const ends: ({ first: number; second: number } | { leave: number })[] = [];
    const mayBeEmpty = widthOf(body)[0] === 0;
    const slot = mayBeEmpty ? this.slots++ : -1;
    for (let k = 0; k < most; k++) {
      const split = this.add({ op: 'split', first: 0, second: 0 });
      const inside = this.code.length;
      if (lazy) split.second = inside;
      else split.first = inside;
      ends.push(split);
      if (mayBeEmpty) this.add({ op: 'round', slot });
      const before = this.code.length;
      this.write(body);
      if (this.code.length === before) break;
      if (mayBeEmpty) ends.push(this.add({ op: 'roundEnd', slot, again: this.code.length + 1, leave: 0 }));
    }
    for (const end of ends)
      if ('leave' in end) end.leave = this.#leave(this.code.length);
      else if (lazy) end.first = this.code.length;
      else end.second = this.code.length;
  }

  #loop(body: RegexNode, lazy: boolean): void {
    if (body.kind === 'set') {
      this.add({ op: 'run', has: body.has, lazy });
      return;
    }
    const again = this.code.length;
    const split = this.add({ op: 'split', first: 0, second: 0 });
    const slot = this.slots++;
    this.add({ op: 'round', slot });
    this.write(body);
    const leave = this.code.length + 1;
    this.add({ op: 'roundEnd', slot, again, leave: this.#leave(leave) });
    split.first = lazy ? leave : again + 1;
    split.second = lazy ? again + 1 : leave;
  }
}

/** @throws SyntaxError for an expression whose repetitions are too many to be written out */
export function compile({ node, groups, names, emptyRound }: Regex): Program {
  const writer = new Writer(groups, emptyRound);
  writer.write(node);
  writer.add({ op: 'accept' });
  return { code: writer.code, slots: writer.slots, names, groups, memory: writer.memory };
}

// Runs a program on a text as backtracking engines do (the first way that matches counts), but counts its steps. A place in the program and the text
// from which nothing matched is not tried again, so that a repetition of repetitions takes time that grows with the text's length and not with the number
// of its parts; only where an expression asks what a group took can failures not be remembered.

/** Steps that may still be taken. */
export interface Steps {
  left: number;
}

/** The steps are used up. */
export class TooManySteps extends Error {}

/** Failures are remembered from so many steps on: short matches are over by then. */
const REMEMBER_AFTER = 256;

/** Kinds of entries on the stack of what to try next. */
const GO_ON = -1;
const RESTORE = -2;
const GIVE_BACK = -3;
const TAKE_MORE = -4;

class Machine {
  readonly slots: Int32Array;
  readonly #code: readonly Instruction[];
  readonly #memory: boolean;
  readonly #text: string;
  readonly #steps: Steps;
  #taken = 0;
  /** Where to go on. */
  #pc = 0;
  #at = 0;
  /** Four numbers an entry: kind and three of its own. */
  readonly #stack: number[] = [];

  constructor(program: Program, text: string, steps: Steps) {
    this.slots = new Int32Array(program.slots).fill(-1);
    this.#code = program.code;
    this.#memory = program.memory;
    this.#text = text;
    this.#steps = steps;
  }

  #count(steps: number): void {
    this.#taken += steps;
    this.#steps.left -= steps;
    if (this.#steps.left < 0) throw new TooManySteps();
  }

  #push(kind: number, a: number, b: number, c: number): void {
    this.#stack.push(kind, a, b, c);
  }

  #set(slot: number, value: number): void {
    const before = this.slots[slot]!;
    if (before === value) return;
    this.#push(RESTORE, slot, before, 0);
    this.slots[slot] = value;
  }

  /** The place behind `at`'s letter. */
  #after(at: number): number {
    return at + (this.#text.codePointAt(at)! > 0xffff ? 2 : 1);
  }

  #before(at: number): number {
    return at > 1 && this.#text.codePointAt(at - 2)! > 0xffff ? at - 2 : at - 1;
  }

  /**
   * Where the program's part from `pc` on ends if it starts at `at`; −1 if it does not match. What it noted in slots is kept if it does, and can be
   * taken back by whoever goes on.
   * @param failed what is known to fail, shared by runs that are one search
   * @param end where it must end
   */
  run(pc: number, at: number, failed: Set<number> = new Set(), end = -1): number {
    const floor = this.#stack.length;
    this.#pc = pc;
    this.#at = at;
    do {
      const reached = this.#straight(failed, end);
      if (reached >= 0) {
        this.#keepRestores(floor);
        return reached;
      }
    } while (this.#next(floor, failed));
    return -1;
  }

  /** Goes on without turning back; where it is accepted, or −1. */
  #straight(failed: Set<number>, end: number): number {
    let pc = this.#pc;
    let at = this.#at;
    const text = this.#text;
    for (;;) {
      const step = this.#code[pc]!;
      this.#count(1);
      switch (step.op) {
        case 'set':
          if (at >= text.length || !step.has(text.codePointAt(at)!)) return -1;
          at = this.#after(at);
          pc++;
          break;
        case 'place':
          if (!step.is(text, at)) return -1;
          pc++;
          break;
        case 'jump':
          pc = step.to;
          break;
        case 'split':
          if (this.#isKnown(pc, at, failed)) return -1;
          this.#push(GO_ON, step.second, at, 0);
          pc = step.first;
          break;
        case 'run': {
          if (this.#isKnown(pc, at, failed)) return -1;
          if (step.lazy) this.#push(TAKE_MORE, pc, at, 0);
          else {
            const least = at;
            while (at < text.length && step.has(text.codePointAt(at)!)) at = this.#after(at);
            this.#count(at - least);
            if (at > least) this.#push(GIVE_BACK, pc, at, least);
          }
          pc++;
          break;
        }
        case 'save':
        case 'round':
          this.#set(step.slot, at);
          pc++;
          break;
        case 'roundEnd':
          pc = this.slots[step.slot] === at ? step.leave : step.again;
          if (pc < 0) return -1;
          break;
        case 'look':
          if (this.#look(pc, at, step.behind) === step.negated) return -1;
          pc = step.next;
          break;
        case 'atomic':
          at = this.run(pc + 1, at);
          if (at < 0) return -1;
          pc = step.next;
          break;
        case 'back':
          at = this.#back(step.group, at, step.same);
          if (at < 0) return -1;
          pc++;
          break;
        case 'condition':
          pc = this.slots[2 * step.group + 1]! >= 0 ? pc + 1 : step.no;
          break;
        case 'accept':
          return end >= 0 && at !== end ? -1 : at;
      }
    }
  }

  /** Whether nothing matches from here; if that is not known yet, it is once this way is given up. */
  #isKnown(pc: number, at: number, failed: Set<number>): boolean {
    if (!this.#memory || this.#taken < REMEMBER_AFTER) return false;
    const key = pc * (this.#text.length + 1) + at;
    if (failed.has(key)) return true;
    failed.add(key);
    return false;
  }

  /** Goes to the next thing to try above `floor`, with all that was noted since taken back; false if there is none. */
  #next(floor: number, failed: Set<number>): boolean {
    const stack = this.#stack;
    while (stack.length > floor) {
      const top = stack.length - 4;
      const [kind, a, b, c] = [stack[top]!, stack[top + 1]!, stack[top + 2]!, stack[top + 3]!];
      stack.length = top;
      if (kind === RESTORE) this.slots[a] = b;
      else if (kind === GO_ON) return this.#go(a, b);
      else if (kind === GIVE_BACK) {
        const at = this.#before(b);
        if (at > c) this.#push(GIVE_BACK, a, at, c);
        this.#count(1);
        if (!this.#isKnown(this.#code.length + a, at, failed)) return this.#go(a + 1, at);
      } else if (b < this.#text.length) {
        const { has } = this.#code[a] as Extract<Instruction, { op: 'run' }>;
        if (!has(this.#text.codePointAt(b)!)) continue;
        const at = this.#after(b);
        this.#push(TAKE_MORE, a, at, 0);
        this.#count(1);
        if (!this.#isKnown(this.#code.length + a, at, failed)) return this.#go(a + 1, at);
      }
    }
    return false;
  }

  #go(pc: number, at: number): true {
    this.#pc = pc;
    this.#at = at;
    return true;
  }

  /** Drops what could be tried instead, above `floor`, and keeps what slots had before. */
  #keepRestores(floor: number): void {
    const stack = this.#stack;
    let kept = floor;
    for (let k = floor; k < stack.length; k += 4) {
      if (stack[k] !== RESTORE) continue;
      for (let j = 0; j < 4; j++) stack[kept + j] = stack[k + j]!;
      kept += 4;
    }
    stack.length = kept;
  }

  #look(pc: number, at: number, behind: readonly [number, number] | null): boolean {
    if (behind === null) return this.run(pc + 1, at) >= 0;
    let start = at;
    for (let width = 0; width <= behind[1]; width++, start = this.#before(start)) {
      if (width >= behind[0] && this.run(pc + 1, start, new Set(), at) >= 0) return true;
      if (start === 0) return false;
    }
    return false;
  }

  #back(group: number, at: number, same: (a: number, b: number) => boolean): number {
    const [start, end] = [this.slots[2 * group]!, this.slots[2 * group + 1]!];
    if (end < 0) return -1;
    const text = this.#text;
    let there = at;
    for (let here = start; here < end; here = this.#after(here)) {
      this.#count(1);
      if (there >= text.length || !same(text.codePointAt(here)!, text.codePointAt(there)!)) return -1;
      there = this.#after(there);
    }
    return there;
  }
}

/** Where the whole match and its groups start and end, two numbers each; −1 for a group that took no part. */
export type Found = Int32Array;

/** `re.match`, or `re.fullmatch` where it is `whole`. @throws TooManySteps */
export function matchStart(program: Program, text: string, steps: Steps, whole = false): Found | null {
  const machine = new Machine(program, text, steps);
  const end = machine.run(0, 0, new Set(), whole ? text.length : -1);
  return end < 0 ? null : found(program, machine.slots, 0, end);
}

/** Whether the text matches from `at` on. @throws TooManySteps */
export function matchAt(program: Program, text: string, at: number, steps: Steps): Found | null {
  const machine = new Machine(program, text, steps);
  const end = machine.run(0, at);
  return end < 0 ? null : found(program, machine.slots, at, end);
}

/** `re.search` from `at` on. @throws TooManySteps */
export function searchFrom(program: Program, text: string, at: number, steps: Steps): Found | null {
  const machine = new Machine(program, text, steps);
  const failed = new Set<number>();
  for (let start = at; start <= text.length; start++) {
    const end = machine.run(0, start, failed);
    if (end >= 0) return found(program, machine.slots, start, end);
    if (text.codePointAt(start)! > 0xffff) start++;
  }
  return null;
}

function found({ groups }: Program, slots: Int32Array, start: number, end: number): Found {
  const result = slots.slice(0, 2 * (groups + 1));
  result[0] = start;
  result[1] = end;
  return result;
}
