/**
 * Runs a program on a text as backtracking engines do (the first way that matches counts), but counts its steps. A place in the program and the text
 * from which nothing matched is not tried again, so that a repetition of repetitions takes time that grows with the text's length and not with the number
 * of its parts; only where an expression asks what a group took can failures not be remembered.
 */
import type { Instruction, Program } from './program.ts';

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
