/** An expression's tree as instructions of a small backtracking machine; counted repetitions are written out. */
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
