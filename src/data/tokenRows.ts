/** Rows of a dataset as tokens, each with a number beside every token: short lists that stand together in a few large arrays. */
import { type Origin, originList } from './notes.ts';
import type { RowSplit, SplitName } from './types.ts';

export interface Source {
  readonly origin: Origin;
  readonly split?: SplitName | undefined;
}

type Numbers = Int32Array | Uint8Array;

const PIECE = 2 ** 16;

/** An array of its own takes some 500 bytes, however short it is. */
class Lists<T extends Numbers> {
  private readonly pieces: T[] = [];
  private used = PIECE;
  private readonly pieceOf: number[] = [];
  private readonly starts: number[] = [];
  private readonly lengths: number[] = [];

  constructor(private readonly make: (length: number) => T) {}

  add(list: ArrayLike<number>): void {
    let piece = this.pieces.at(-1);
    if (!piece || this.used + list.length > piece.length) {
      piece = this.make(Math.max(PIECE, list.length));
      this.pieces.push(piece);
      this.used = 0;
    }
    piece.set(list, this.used);
    this.pieceOf.push(this.pieces.length - 1);
    this.starts.push(this.used);
    this.lengths.push(list.length);
    this.used += list.length;
  }

  at(i: number): T {
    const start = this.starts[i]!;
    return this.pieces[this.pieceOf[i]!]!.slice(start, start + this.lengths[i]!) as T;
  }
}

export class TokenRows<M extends Numbers> {
  readonly sources: Source[] = [];
  private readonly ids = new Lists((length) => new Int32Array(length));
  private readonly marks: Lists<M>;

  /** @param make an array for what stands beside the tokens: segments, classes, whether they are learnt */
  constructor(make: (length: number) => M) {
    this.marks = new Lists(make);
  }

  add({ origin, split }: Source, ids: ArrayLike<number>, marks: ArrayLike<number>): void {
    this.sources.push(split ? { origin, split } : { origin });
    this.ids.add(ids);
    this.marks.add(marks);
  }

  /** The part of the rows that `members` names. */
  part(members: Uint32Array): RowSplit & { readonly marks: (i: number) => M } {
    return {
      count: members.length,
      ids: (i) => this.ids.at(members[i]!),
      marks: (i) => this.marks.at(members[i]!),
      origin: (i) => originList([this.sources[members[i]!]!.origin]),
    };
  }
}
